//! What methods put out, kept as JSON lines.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::run::Report;

/// One answer and what it took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Output {
    /// The answer.
    pub text: String,
    /// Passes through the model.
    pub passes: usize,
    /// Tokens of all passes' prompts.
    pub prompt_tokens: usize,
    /// Tokens put out by all passes.
    pub output_tokens: usize,
    /// Computing prompts, over all passes.
    pub prefill_seconds: f64,
    /// Computing outputs, over all passes.
    pub decode_seconds: f64,
}

impl Output {
    pub(super) fn of(report: &Report) -> Self {
        let passes = || report.passes.iter().map(|pass| &pass.outcome);
        Self {
            text: report.text().trim().to_owned(),
            passes: report.passes.len(),
            prompt_tokens: passes().map(|outcome| outcome.prompt_tokens).sum(),
            output_tokens: passes().map(|outcome| outcome.output_tokens).sum(),
            prefill_seconds: passes().map(|outcome| outcome.prefill.as_secs_f64()).sum(),
            decode_seconds: passes().map(|outcome| outcome.decode.as_secs_f64()).sum(),
        }
    }

    /// The answer of a pass that found nothing to work on.
    pub(super) fn empty(passes: usize) -> Self {
        Self {
            text: String::new(),
            passes,
            prompt_tokens: 0,
            output_tokens: 0,
            prefill_seconds: 0.0,
            decode_seconds: 0.0,
        }
    }
}

/// Why outputs cannot be kept.
#[derive(Debug, thiserror::Error)]
#[error("cannot write outputs to `{path}`: {source}", path = path.display())]
pub struct OutputsError {
    /// The file.
    path: PathBuf,
    /// What went wrong.
    source: io::Error,
}

/// A file of outputs, by the digest of what decides them.
#[derive(Debug)]
pub struct Outputs {
    path: PathBuf,
    file: fs::File,
    known: HashMap<Digest, Output>,
}

#[derive(Serialize, Deserialize)]
struct Line {
    key: Digest,
    /// For people: the key holds what decides the output.
    task: String,
    method: String,
    #[serde(flatten)]
    output: Output,
}

impl Outputs {
    /// Opens a file, or makes it. Lines that cannot be read, as one that was cut off, are run again.
    pub fn open(path: &Path) -> Result<Self, OutputsError> {
        let failed = |source| OutputsError { path: path.to_path_buf(), source };
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        let text = fs::read_to_string(path).unwrap_or_default();
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Line>(line).ok());
        let known = lines.map(|line| (line.key, line.output)).collect();
        let mut file = fs::OpenOptions::new().create(true).append(true).open(path).map_err(failed)?;
        if !text.is_empty() && !text.ends_with('\n') {
            writeln!(file).map_err(failed)?;
        }
        Ok(Self { path: path.to_path_buf(), file, known })
    }

    pub(super) fn get(&self, key: Digest) -> Option<&Output> {
        self.known.get(&key)
    }

    pub(super) fn add(&mut self, key: Digest, cell: (String, &str), output: Output) -> Result<Output, OutputsError> {
        let failed = |source| OutputsError { path: self.path.clone(), source };
        let (task, method) = (cell.0, cell.1.to_owned());
        let line = Line { key, task, method, output: output.clone() };
        let line = serde_json::to_string(&line).map_err(|error| failed(error.into()))?;
        writeln!(self.file, "{line}").map_err(failed)?;
        self.known.insert(key, output.clone());
        Ok(output)
    }
}
