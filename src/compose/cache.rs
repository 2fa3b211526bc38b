//! The folder of composed adapters.
//!
//! Each file ends, behind its GGUF content, in eight bytes: the XXH3 of all before them. Checking ten megabytes that way
//! takes a millisecond; it finds damage, not malice, and nobody else writes to this folder.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use twox_hash::XxHash3_64;

use crate::adapter::{self, Adapter, Precision};
use crate::digest::Digest;
use crate::file;

/// Bytes of the checksum at a file's end.
const TRAILER: usize = 8;

/// How much is read and hashed at a time: less than a core's second-level cache.
const PIECE: usize = 1 << 17;

/// Composed adapters by key.
#[derive(Debug, Clone)]
pub struct Cache {
    folder: PathBuf,
}

/// A cache that cannot be written to.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the composed adapter to the cache folder `{folder}`: {source}", folder = folder.display())]
pub struct CacheError {
    /// The folder.
    pub folder: PathBuf,
    /// What went wrong.
    pub source: io::Error,
}

impl Cache {
    /// The cache in `folder`, which need not exist.
    #[must_use]
    pub fn in_folder(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The file under a key, where it is there and whole.
    #[must_use]
    pub fn get(&self, key: Digest) -> Option<PathBuf> {
        let path = self.path(key);
        is_whole(&path).unwrap_or(false).then_some(path)
    }

    /// Writes an adapter under a key, replacing what is there.
    pub fn put(&self, key: Digest, adapter: &Adapter) -> Result<PathBuf, CacheError> {
        let path = self.path(key);
        let written = fs::create_dir_all(&self.folder).and_then(|()| {
            file::write_whole(&path, |out| {
                let mut sealed = Sealing { out, hasher: XxHash3_64::default() };
                adapter::encode(adapter, Precision::F16)?.write(&mut sealed)?;
                let sum = std::hash::Hasher::finish(&sealed.hasher);
                sealed.out.write_all(&sum.to_le_bytes())
            })
        });
        match written {
            Ok(()) => Ok(path),
            Err(source) => Err(CacheError { folder: self.folder.clone(), source }),
        }
    }

    fn path(&self, key: Digest) -> PathBuf {
        self.folder.join(format!("{key}.gguf"))
    }
}

/// Passes bytes on and hashes them.
struct Sealing<'a> {
    out: &'a mut dyn Write,
    hasher: XxHash3_64,
}

impl Write for Sealing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.out.write(bytes)?;
        std::hash::Hasher::write(&mut self.hasher, &bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn is_whole(path: &Path) -> io::Result<bool> {
    let mut source = fs::File::open(path)?;
    let mut left = source.metadata()?.len().saturating_sub(TRAILER as u64);
    let mut hasher = XxHash3_64::default();
    let mut buffer = vec![0; PIECE];
    while left > 0 {
        let count = usize::try_from(left).map_or(PIECE, |left| left.min(PIECE));
        source.read_exact(&mut buffer[..count])?;
        std::hash::Hasher::write(&mut hasher, &buffer[..count]);
        left -= count as u64;
    }
    let mut sum = [0; TRAILER];
    source.read_exact(&mut sum)?;
    Ok(u64::from_le_bytes(sum) == std::hash::Hasher::finish(&hasher))
}
