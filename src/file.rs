//! Files that appear whole or not at all.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use tempfile::Builder;

/// Writes `path` through a temporary file beside it and a rename, so that no reader ever sees half of it.
///
/// What is there and is no regular file (a device, a pipe) is written to directly: a rename would replace it.
/// A symbolic link stays one: what it points to is replaced.
pub fn write_whole(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    if fs::metadata(&target).is_ok_and(|about| !about.is_file() && !about.is_dir()) {
        let mut out = BufWriter::new(fs::OpenOptions::new().write(true).open(&target)?);
        write(&mut out)?;
        return out.flush();
    }
    let mut builder = Builder::new();
    builder.prefix(".nfold-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666)); // less the umask, as for any new file
    let mut out = BufWriter::with_capacity(1 << 18, builder.tempfile_in(folder_of(&target))?);
    write(&mut out)?;
    let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.persist(&target).map_err(|error| error.error)?;
    Ok(())
}

/// Writes bytes as [`write_whole`] does, making the folder first.
pub fn write_bytes(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    write_whole(path, |out| out.write_all(bytes))
}

/// Whether [`write_whole`] could write `path`: asked before long work whose result is to go there.
pub fn check_writable(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Err(io::Error::from(io::ErrorKind::IsADirectory));
    }
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    if fs::metadata(&target).is_ok_and(|about| !about.is_file()) {
        return fs::OpenOptions::new().write(true).open(&target).map(drop);
    }
    tempfile::tempfile_in(folder_of(&target)).map(drop)
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}
