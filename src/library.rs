//! The adapters and calibrations there are for a model: those the configuration names and those in adapter folders.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::config::Config;

/// Adapters and calibrations of one model.
#[derive(Debug, Clone)]
pub struct Library<'a> {
    /// The model's name.
    pub model: &'a str,
    /// The configuration.
    pub config: &'a Config,
    /// Adapter folders, in order.
    pub folders: &'a [PathBuf],
}

/// The calibrations that may exist for a combination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variant {
    /// P1 and P2: what runs use.
    LowRank,
    /// p.
    Vector,
    /// P1 and P2 for several combinations.
    SharedLowRank,
    /// p for several combinations.
    SharedVector,
}

impl Variant {
    /// The name of its file without the ending.
    #[must_use]
    pub fn file_stem(self, combination: &str) -> String {
        match self {
            Self::LowRank => file_stem(combination),
            Self::Vector => format!("{}.vector", file_stem(combination)),
            Self::SharedLowRank => "shared".to_owned(),
            Self::SharedVector => "shared.vector".to_owned(),
        }
    }
}

/// A file that the configuration names and that is not there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the configuration names `{path}` for {what}, and there is no such file", path = path.display())]
pub struct NotThere {
    /// The task or combination.
    pub what: String,
    /// The file.
    pub path: PathBuf,
}

/// The name of a task's or combination's file without its ending: `translate-es`, as file systems dislike colons.
#[must_use]
pub fn file_stem(name: &str) -> String {
    name.replace([':', ' ', '/'], "-")
}

impl Library<'_> {
    /// The adapter for a task.
    pub fn adapter(&self, task: &str) -> Result<Option<PathBuf>, NotThere> {
        let configured = self.config.adapters.get(self.model).and_then(|tasks| tasks.get(task));
        self.look_up(task, configured, &PathBuf::from(format!("{}.gguf", file_stem(task))))
    }

    /// The calibration that runs of a combination use.
    pub fn calibration(&self, combination: &str) -> Result<Option<PathBuf>, NotThere> {
        let configured = self.config.calibrations.get(self.model).and_then(|tasks| tasks.get(combination));
        self.look_up(combination, configured, &by_rule(combination, Variant::LowRank))
    }

    /// A calibration of one of the kinds there may be for a combination.
    pub fn calibration_of(&self, combination: &str, variant: Variant) -> Result<Option<PathBuf>, NotThere> {
        match variant {
            Variant::LowRank => self.calibration(combination),
            other => self.look_up(combination, None, &by_rule(combination, other)),
        }
    }

    /// A configured path wins; one that is relative (that is, from nfold's own default) is looked for in the folders, and
    /// so is what follows the naming rule. A folder that the user added to comes before the one that nfold came with.
    fn look_up(&self, what: &str, configured: Option<&PathBuf>, by_rule: &Path) -> Result<Option<PathBuf>, NotThere> {
        if let Some(path) = configured.filter(|path| path.is_absolute()) {
            return match path.is_file() {
                true => Ok(Some(path.clone())),
                false => Err(NotThere { what: what.to_owned(), path: path.clone() }),
            };
        }
        let candidates = |folder: &PathBuf| {
            let rule = folder.join(self.model).join(by_rule);
            configured.map(|path| folder.join(path)).into_iter().chain([rule])
        };
        Ok(self.folders.iter().flat_map(candidates).find(|file| file.is_file()))
    }

    /// All calibration files: those the configuration names and those in adapter folders.
    pub fn calibrations(&self) -> Result<Vec<PathBuf>, NotThere> {
        let mut found = Vec::new();
        for combination in self.config.calibrations.get(self.model).into_iter().flat_map(BTreeMap::keys) {
            found.extend(self.calibration(combination)?);
        }
        for folder in self.folders {
            found.extend(gguf_files(&folder.join(self.model).join("calibrations")));
        }
        found.sort();
        found.dedup();
        Ok(found)
    }

    /// All adapters, by the name of their task; for one that follows the naming rule alone, as far as `tasks` tells it.
    pub fn adapters(&self, tasks: &[String]) -> Result<BTreeMap<String, PathBuf>, NotThere> {
        let configured = self.config.adapters.get(self.model).into_iter().flat_map(BTreeMap::keys);
        let mut stems = BTreeMap::new();
        for folder in self.folders {
            for path in gguf_files(&folder.join(self.model)) {
                let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                stems.entry(stem).or_insert(path);
            }
        }
        let mut found = BTreeMap::new();
        for task in configured.chain(tasks) {
            if let Some(path) = self.adapter(task)? {
                stems.remove(&file_stem(task));
                found.insert(task.clone(), path);
            }
        }
        found.extend(stems);
        Ok(found)
    }
}

fn by_rule(combination: &str, variant: Variant) -> PathBuf {
    Path::new("calibrations").join(format!("{}.gguf", variant.file_stem(combination)))
}

/// The `.gguf` files of a folder; none where there is no such folder.
fn gguf_files(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let files = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    files.filter(|path| path.extension().is_some_and(|ending| ending == "gguf"))
}
