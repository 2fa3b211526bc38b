//! Folders: where configuration, data and cache are. The one place, beside clap, that reads the environment.

use std::env;
use std::path::{Path, PathBuf};

use directories::BaseDirs;

/// All folders, resolved once by `main` and passed down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// The user's configuration file, which need not exist.
    pub config_file: PathBuf,
    /// Models and adapters.
    pub data: PathBuf,
    /// Composed adapters, faster copies of models, remembered digests: everything here can be made again.
    pub cache: PathBuf,
    /// Folders in which adapters are looked for, the user's first.
    pub adapters: Vec<PathBuf>,
    /// Hugging Face caches, in the order in which llama.cpp looks at them.
    pub hub: Vec<PathBuf>,
}

impl Paths {
    /// From the environment: `NFOLD_HOME` puts everything below one folder, else the XDG folders (or the system's own) are
    /// used. `None` where there is no home folder at all.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the place")]
    pub fn from_environment() -> Option<Self> {
        let variable = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let base = BaseDirs::new();
        let (config, data, cache) = match (variable("NFOLD_HOME"), &base) {
            (Some(home), _) => (home.clone(), home.join("data"), home.join("cache")),
            (None, Some(base)) => {
                (base.config_dir().join("nfold"), base.data_dir().join("nfold"), base.cache_dir().join("nfold"))
            }
            (None, None) => return None,
        };
        let hub_homes = ["LLAMA_CACHE", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"].map(variable);
        let mut hub: Vec<PathBuf> = hub_homes.into_iter().flatten().collect();
        hub.extend(variable("HF_HOME").map(|home| home.join("hub")));
        hub.extend(base.map(|base| base.cache_dir().join("huggingface/hub")));
        let adapters = adapter_folders(variable("NFOLD_ADAPTERS"), &data, env::current_exe().ok().as_deref());
        Some(Self { config_file: config.join("config.toml"), data, cache, adapters, hub })
    }

    /// Where models that were pulled or added lie.
    #[must_use]
    pub fn models(&self) -> PathBuf {
        self.data.join("models")
    }

    /// Where composed adapters lie.
    #[must_use]
    pub fn composed(&self) -> PathBuf {
        self.cache.join("composed")
    }

    /// Where copies of models lie that are faster to compute with.
    #[must_use]
    pub fn weights(&self) -> PathBuf {
        self.cache.join("weights")
    }

    /// Where runs of the interface are kept.
    #[must_use]
    pub fn history(&self) -> PathBuf {
        self.data.join("history.jsonl")
    }

    /// Where the user's themes lie: beside the configuration.
    #[must_use]
    pub fn themes(&self) -> PathBuf {
        self.config_file.with_file_name("themes")
    }

    /// Where digests are remembered.
    #[must_use]
    pub fn digests(&self) -> PathBuf {
        self.cache.join("digests")
    }
}

/// The user's folder, then what was installed with the program: beside it, in `share`, or in the repository it was built in.
fn adapter_folders(given: Option<PathBuf>, data: &Path, program: Option<&Path>) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = given.into_iter().collect();
    folders.push(data.join("adapters"));
    if let Some(folder) = program.and_then(Path::parent) {
        folders.push(folder.join("adapters"));
        folders.push(folder.join("../share/nfold/adapters"));
    }
    folders.push(Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters"));
    folders
}
