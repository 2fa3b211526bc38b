//! What tests share: tiny real models, adapters, a folder of their own, the program run as users run it.

pub mod cli;
pub mod pty;
pub mod script;
pub mod tiny;
pub mod ui;

use std::path::{Path, PathBuf};

use nfold::adapter::Adapter;
use nfold::digest::Digest;
use tempfile::TempDir;

/// A folder that is gone at the end, with a tiny model in it.
pub struct World {
    folder: TempDir,
}

impl World {
    pub fn new() -> Self {
        let world = Self { folder: tempfile::tempdir().unwrap() };
        tiny::write_model(&world.model(), &tiny::weights());
        world
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn model(&self) -> PathBuf {
        self.path("tiny.gguf")
    }

    pub fn base(&self) -> (nfold::model::BaseModel, Digest) {
        let header = nfold::model::BaseModel::open(&self.model()).unwrap();
        (header, Digest::of(&std::fs::read(self.model()).unwrap()))
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// In 32 bits, in which llama.cpp's results can be compared closely.
    pub fn write_exact_adapter(&self, name: &str, adapter: &Adapter) -> PathBuf {
        let path = self.path(name);
        nfold::adapter::write(&path, adapter, nfold::adapter::Precision::F32).unwrap();
        path
    }

    pub fn write_adapter(&self, name: &str, adapter: &Adapter) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        nfold::adapter::write(&path, adapter, nfold::adapter::Precision::F16).unwrap();
        path
    }
}

/// SmolLM2-135M-Instruct, which `make test` fetches before the tests run.
pub fn smollm2() -> PathBuf {
    let paths = nfold::paths::Paths::from_environment().unwrap();
    let config = nfold::config::Config::example().unwrap();
    let base = nfold::plan::resolve_base("smollm2-135m", &config, &paths);
    base.expect("`make test` fetches the model; by hand: `nfold models pull smollm2-135m`").header.path
}

pub fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}
