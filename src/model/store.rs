//! Where base models are found: by path, in nfold's own folder, in Hugging Face's cache.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::config::ModelEntry;
use crate::digest::Digest;
use crate::suggest::nearest;

/// Where a model was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// It was given by path.
    Path,
    /// In nfold's models folder.
    Folder,
    /// In a Hugging Face cache.
    Hub,
}

/// A model's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The name it goes by: that in the configuration, or the file's without its ending.
    pub name: String,
    /// The file.
    pub path: PathBuf,
    /// Where it was found.
    pub origin: Origin,
    /// The SHA-256 it must have, where that is known.
    pub sha256: Option<Digest>,
}

/// Why no model was found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum FindError {
    #[error("the model `{name}` is not on this machine; `nfold models pull {name}` downloads it{}", size(*.bytes))]
    NotPulled { name: String, bytes: Option<u64> },
    #[error("the model `{name}` is configured as `{path}`, which is not there", path = path.display())]
    NotThere { name: String, path: PathBuf },
    #[error("there is no model `{asked}`{}; `nfold models list` shows what there is", suggestion(.nearest.as_deref()))]
    Unknown { asked: String, nearest: Option<String> },
    #[error("there is no model file `{path}`", path = path.display())]
    NoFile { path: PathBuf },
}

fn size(bytes: Option<u64>) -> String {
    bytes.map_or_else(String::new, |bytes| format!(" ({} MB)", bytes / 1_000_000))
}

fn suggestion(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |name| format!(" (did you mean `{name}`?)"))
}

/// The places to look.
#[derive(Debug, Clone, Copy)]
pub struct Store<'a> {
    /// Models known by name.
    pub known: &'a BTreeMap<String, ModelEntry>,
    /// nfold's own folder.
    pub folder: &'a Path,
    /// Hugging Face caches.
    pub hub: &'a [PathBuf],
}

impl Store<'_> {
    /// Finds a model by name, by the name of a file in the folder, or by path.
    pub fn find(&self, asked: &str) -> Result<Found, FindError> {
        if let Some(entry) = self.known.get(asked) {
            return self.find_known(asked, entry);
        }
        let path = Path::new(asked);
        let found = |path: PathBuf, origin| {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            Found { name, path, origin, sha256: None }
        };
        if path.is_file() {
            return Ok(found(path.to_path_buf(), Origin::Path));
        }
        let looks_like_path = path.components().count() > 1 || asked.to_lowercase().ends_with(".gguf");
        let inside = [self.folder.join(asked), self.folder.join(format!("{asked}.gguf"))];
        if path.components().count() == 1
            && let Some(file) = inside.into_iter().find(|file| file.is_file())
        {
            return Ok(found(file, Origin::Folder));
        }
        if looks_like_path {
            return Err(FindError::NoFile { path: path.to_path_buf() });
        }
        let nearest = nearest(asked, self.known.keys().map(String::as_str));
        Err(FindError::Unknown { asked: asked.to_owned(), nearest })
    }

    fn find_known(&self, name: &str, entry: &ModelEntry) -> Result<Found, FindError> {
        let found = |path: PathBuf, origin| Ok(Found { name: name.to_owned(), path, origin, sha256: entry.sha256 });
        if entry.file.is_absolute() {
            return match entry.file.is_file() {
                true => found(entry.file.clone(), Origin::Path),
                false => Err(FindError::NotThere { name: name.to_owned(), path: entry.file.clone() }),
            };
        }
        let own = self.folder.join(&entry.file);
        if own.is_file() {
            return found(own, Origin::Folder);
        }
        match self.in_hub(entry) {
            Some(path) => found(path, Origin::Hub),
            None => Err(FindError::NotPulled { name: name.to_owned(), bytes: entry.size }),
        }
    }

    /// The layout of Hugging Face's cache: `models--OWNER--NAME/snapshots/COMMIT/FILE`.
    fn in_hub(&self, entry: &ModelEntry) -> Option<PathBuf> {
        let folder = format!("models--{}", entry.repo.as_ref()?.replace('/', "--"));
        let snapshots = self.hub.iter().flat_map(|hub| fs::read_dir(hub.join(&folder).join("snapshots"))).flatten();
        snapshots.flatten().map(|snapshot| snapshot.path().join(&entry.file)).find(|file| file.is_file())
    }

    /// The name by which a model with this digest is known, whatever its file is called.
    #[must_use]
    pub fn name_of(&self, sha256: Digest) -> Option<&str> {
        self.known.iter().find(|(_, entry)| entry.sha256 == Some(sha256)).map(|(name, _)| name.as_str())
    }

    /// Files in nfold's own folder that no known name stands for.
    #[must_use]
    pub fn others(&self) -> Vec<Found> {
        let named = |file: &Path| self.known.values().any(|entry| file.file_name() == Some(entry.file.as_os_str()));
        let files = fs::read_dir(self.folder).into_iter().flatten().flatten().map(|entry| entry.path());
        let mut others: Vec<Found> = files
            .filter(|file| file.extension().is_some_and(|ending| ending == "gguf") && file.is_file() && !named(file))
            .map(|path| {
                let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                Found { name, path, origin: Origin::Folder, sha256: None }
            })
            .collect();
        others.sort_by(|a, b| a.name.cmp(&b.name));
        others
    }
}
