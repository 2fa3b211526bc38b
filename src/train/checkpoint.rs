//! Checkpoints: everything a training needs to go on as if it had not stopped. A safetensors file.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde::{Deserialize, Serialize};

use crate::file;

/// Where a training stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    /// What decides the course of the training; a checkpoint of another one is refused.
    pub(super) fingerprint: String,
    pub(super) step: u64,
    pub(super) epoch: u64,
    /// Batches done in this epoch.
    pub(super) batch: usize,
    pub(super) tokens: u64,
    pub(super) seconds: f64,
    pub(super) start_loss: f64,
    pub(super) best_loss: f64,
    /// Evaluations since the best one.
    pub(super) since_best: u32,
    pub(super) updates: i32,
}

/// The rows of numbers that go with it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Rows {
    pub(super) numbers: Vec<f32>,
    pub(super) first: Vec<f32>,
    pub(super) second: Vec<f32>,
    pub(super) best: Vec<f32>,
}

/// Why a checkpoint cannot be used.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum CheckpointError {
    #[error("cannot read checkpoint `{path}`: {source}", path = path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("`{path}` is no checkpoint: {problem}", path = path.display())]
    Damaged { path: PathBuf, problem: String },
    #[error(
        "checkpoint `{path}` is of a training with other data or settings; give the same ones, or leave `--resume` out to begin anew",
        path = path.display()
    )]
    Other { path: PathBuf },
}

const KEY: &str = "nfold.training";

pub(super) fn write(path: &Path, state: &State, rows: &Rows) -> io::Result<()> {
    let all = [("numbers", &rows.numbers), ("first", &rows.first), ("second", &rows.second), ("best", &rows.best)];
    let bytes: Vec<(&str, usize, Vec<u8>)> = all
        .into_iter()
        .map(|(name, row)| (name, row.len(), row.iter().flat_map(|number| number.to_le_bytes()).collect()))
        .collect();
    let invalid = |error: &dyn std::fmt::Display| io::Error::other(error.to_string());
    let mut views = Vec::new();
    for (name, count, bytes) in &bytes {
        views.push((*name, TensorView::new(Dtype::F32, vec![*count], bytes).map_err(|error| invalid(&error))?));
    }
    let text = serde_json::to_string(state).map_err(|error| invalid(&error))?;
    let metadata = HashMap::from([(KEY.to_owned(), text)]);
    let whole = safetensors::serialize(views, Some(metadata)).map_err(|error| invalid(&error))?;
    file::write_bytes(path, &whole)
}

/// Reads a checkpoint of the training with this fingerprint and so many numbers.
pub(super) fn read(path: &Path, fingerprint: &str, count: usize) -> Result<(State, Rows), CheckpointError> {
    let bytes = fs::read(path).map_err(|source| CheckpointError::Read { path: path.to_path_buf(), source })?;
    let damaged = |problem: String| CheckpointError::Damaged { path: path.to_path_buf(), problem };
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|error| damaged(error.to_string()))?;
    let text = header.metadata().as_ref().and_then(|metadata| metadata.get(KEY));
    let text = text.ok_or_else(|| damaged(format!("it has no `{KEY}`")))?;
    let state: State = serde_json::from_str(text).map_err(|error| damaged(error.to_string()))?;
    if state.fingerprint != fingerprint {
        return Err(CheckpointError::Other { path: path.to_path_buf() });
    }
    let tensors = SafeTensors::deserialize(&bytes).map_err(|error| damaged(error.to_string()))?;
    let row = |name: &str| {
        let tensor = tensors.tensor(name).map_err(|error| damaged(error.to_string()))?;
        let row: Vec<f32> = tensor.data().as_chunks::<4>().0.iter().copied().map(f32::from_le_bytes).collect();
        match tensor.dtype() == Dtype::F32 && row.len() == count {
            true => Ok(row),
            false => Err(damaged(format!("`{name}` does not hold {count} numbers"))),
        }
    };
    let rows = Rows { numbers: row("numbers")?, first: row("first")?, second: row("second")?, best: row("best")? };
    Ok((state, rows))
}
