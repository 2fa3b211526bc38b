//! Composing: from adapters, weights, method and calibration to one adapter file, kept in a cache.
//!
//! A composed adapter is named by the digest of everything that went into it, so that it is made once. What the
//! cache holds is checked before it is used; a damaged file is made again.

mod cache;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::adapter::{self, Adapter, CheckError};
use crate::calibration::{self, Calibration, CalibrationError, FitError};
use crate::digest::{Digest, Digests};
use crate::merge::{self, MergeError, Method, Weighted};
use crate::model::BaseModel;

pub use cache::{Cache, CacheError};

/// Changes whenever the same recipe would give another file.
const FORMAT: &str = "nfold composed adapter 3";

/// Blocks of Q8_0 hold 32 numbers and the rows of B are as long as the rank, so ranks are filled up.
const RANK_STEP: usize = 32;

/// An adapter file and its coefficient.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Ingredient {
    /// The task it is for, or the file's name where it was given by path.
    pub name: String,
    /// The GGUF file.
    pub path: PathBuf,
    /// Its SHA-256.
    pub sha256: Digest,
    /// Its coefficient in the merge.
    pub weight: f32,
}

/// A calibration file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CalibrationFile {
    /// The GGUF file.
    pub path: PathBuf,
    /// Its SHA-256.
    pub sha256: Digest,
}

/// Everything that decides a composed adapter.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Recipe {
    /// The adapters, in the combination's order.
    pub ingredients: Vec<Ingredient>,
    /// How they are merged.
    pub method: Method,
    /// The correction on top, where there is one.
    pub calibration: Option<CalibrationFile>,
}

/// The adapter file that a recipe gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Composed {
    /// The file.
    pub path: PathBuf,
    /// Whether it was in the cache already.
    pub cached: bool,
}

/// Why a recipe gives no adapter.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum ComposeError {
    #[error(transparent)]
    Read(#[from] adapter::ReadError),
    #[error("adapter `{path}` {source}", path = path.display())]
    Check { path: PathBuf, source: CheckError },
    #[error(transparent)]
    Merge(#[from] MergeError),
    #[error(transparent)]
    Calibration(#[from] CalibrationError),
    #[error("calibration `{path}` {source}", path = path.display())]
    Fit { path: PathBuf, source: FitError },
    #[error(transparent)]
    Cache(#[from] CacheError),
}

impl Recipe {
    /// The name of the result: a digest of all that decides it.
    #[must_use]
    pub fn key(&self, base: Digest) -> Digest {
        let mut text = format!("{FORMAT}\nbase {base}\nmethod {}\n", self.method);
        for part in &self.ingredients {
            let _ = writeln!(text, "adapter {} {:08x}", part.sha256, part.weight.to_bits());
        }
        if let Some(calibration) = &self.calibration {
            let _ = writeln!(text, "calibration {}", calibration.sha256);
        }
        Digest::of(text.as_bytes())
    }

    /// Reads the adapters, checks them against the base model, merges and calibrates them, in memory.
    pub fn compose(&self, model: &BaseModel, base: Digest) -> Result<Adapter, ComposeError> {
        let adapters = self.read(model, base)?;
        let parts: Vec<Weighted<'_>> = self
            .ingredients
            .iter()
            .zip(&adapters)
            .map(|(part, adapter)| Weighted { name: &part.name, adapter, weight: part.weight })
            .collect();
        let merged = merge::merge(&parts, self.method)?;
        match &self.calibration {
            None => Ok(merged),
            Some(file) => calibrate(file, merged),
        }
    }

    /// Reads and checks all adapters, each on a thread of its own.
    fn read(&self, model: &BaseModel, base: Digest) -> Result<Vec<Adapter>, ComposeError> {
        let read = |part: &Ingredient| {
            let adapter = adapter::read(&part.path)?;
            let checked = adapter.check(model, base);
            checked.map_err(|source| ComposeError::Check { path: part.path.clone(), source })?;
            Ok(adapter)
        };
        std::thread::scope(|scope| {
            let threads: Vec<_> = self.ingredients.iter().map(|part| scope.spawn(move || read(part))).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                .collect()
        })
    }

    /// The composed adapter's file, from the cache or made now.
    pub fn materialize(&self, model: &BaseModel, base: Digest, cache: &Cache) -> Result<Composed, ComposeError> {
        let key = self.key(base);
        if let Some(path) = cache.get(key) {
            return Ok(Composed { path, cached: true });
        }
        let adapter = self.compose(model, base)?.padded(RANK_STEP);
        let path = cache.put(key, &adapter)?;
        Ok(Composed { path, cached: false })
    }
}

fn calibrate(file: &CalibrationFile, merged: Adapter) -> Result<Adapter, ComposeError> {
    let calibration: Calibration = calibration::read(&file.path)?;
    calibration.apply(merged).map_err(|source| ComposeError::Fit { path: file.path.clone(), source })
}

/// Looks an adapter file's digest up and makes an ingredient of it.
pub fn ingredient(digests: &Digests, name: &str, path: &Path, weight: f32) -> std::io::Result<Ingredient> {
    let sha256 = digests.of_file(path)?;
    Ok(Ingredient { name: name.to_owned(), path: path.to_path_buf(), sha256, weight })
}
