//! SHA-256 of files: what names a base model, an adapter and a calibration beyond its path.

use std::fmt;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::file;

/// A SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest([u8; 32]);

/// A text that is not 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no SHA-256: 64 hexadecimal digits were expected")]
pub struct NotADigest(String);

impl Digest {
    /// The digest of bytes in memory.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The digest of everything `source` gives.
    pub fn of_reader(source: &mut dyn Read) -> io::Result<Self> {
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; 1 << 18];
        loop {
            match source.read(&mut buffer) {
                Ok(0) => return Ok(Self(hasher.finalize().into())),
                Ok(count) => hasher.update(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The first 12 hexadecimal digits, for people.
    #[must_use]
    pub fn short(&self) -> String {
        self.to_string().chars().take(12).collect()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl FromStr for Digest {
    type Err = NotADigest;

    fn from_str(text: &str) -> Result<Self, NotADigest> {
        let wrong = || NotADigest(text.to_owned());
        if text.len() != 64 || !text.is_ascii() {
            return Err(wrong());
        }
        let mut digest = [0; 32];
        for (byte, pair) in digest.iter_mut().zip(text.as_bytes().as_chunks::<2>().0) {
            let pair = std::str::from_utf8(pair).map_err(|_| wrong())?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| wrong())?;
        }
        Ok(Self(digest))
    }
}

impl TryFrom<String> for Digest {
    type Error = NotADigest;

    fn try_from(text: String) -> Result<Self, NotADigest> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

/// Digests of files, remembered in a folder as long as size and modification time stay the same.
///
/// A 98 MB model takes a quarter of a second to digest; looking it up takes none.
#[derive(Debug, Clone)]
pub struct Digests {
    folder: PathBuf,
}

#[derive(PartialEq, Serialize, Deserialize)]
struct Remembered {
    path: PathBuf,
    size: u64,
    modified_ns: u128,
    sha256: Digest,
}

impl Digests {
    /// Digests remembered in `folder`, which need not exist.
    #[must_use]
    pub fn in_folder(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The digest of a file. A folder that cannot be written only costs the memory, not the answer.
    pub fn of_file(&self, path: &Path) -> io::Result<Digest> {
        let path = fs::canonicalize(path)?;
        let mut source = fs::File::open(&path)?;
        let about = source.metadata()?;
        let modified_ns = about.modified()?.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        let note = self.folder.join(format!("{}.json", Digest::of(path.as_os_str().as_encoded_bytes())));
        let remembered = fs::read(&note).ok().and_then(|bytes| serde_json::from_slice::<Remembered>(&bytes).ok());
        if let Some(known) = remembered
            && known.path == path
            && known.size == about.len()
            && known.modified_ns == modified_ns
        {
            return Ok(known.sha256);
        }
        let sha256 = Digest::of_reader(&mut source)?;
        let fresh = Remembered { path, size: about.len(), modified_ns, sha256 };
        if let Ok(bytes) = serde_json::to_vec(&fresh) {
            drop(file::write_bytes(&note, &bytes));
        }
        Ok(sha256)
    }
}
