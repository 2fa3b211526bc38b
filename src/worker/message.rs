//! What the interface and the engine's process say to each other.

use serde::{Deserialize, Serialize};

use crate::engine::{EngineError, Stop};
use crate::model::FindError;
use crate::plan::{Ask, PlanError, Summary};
use crate::run::{Figures, RunError};

/// Tells jobs apart. Later jobs have larger ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct JobId(pub u64);

/// What the engine is asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Command {
    /// The document that the commands after it are about.
    Document(String),
    /// What would be done, and how many tokens it takes. One that a later one follows is not answered.
    Measure {
        /// The job.
        job: JobId,
        /// What is asked for.
        ask: Ask,
    },
    /// Run it.
    Run {
        /// The job.
        job: JobId,
        /// What is asked for.
        ask: Ask,
    },
    /// Download a known model.
    Pull {
        /// The job.
        job: JobId,
        /// Its name.
        model: String,
    },
    /// End this job and all before it.
    Cancel(JobId),
}

/// What the engine tells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// So much of the model is loaded, 0 to 1.
    Loading(f32),
    /// What would be done.
    Planned {
        /// The job.
        job: JobId,
        /// The plan.
        summary: Summary,
    },
    /// How many tokens the prompt takes; for a document that is far too long an estimate.
    Counted {
        /// The job.
        job: JobId,
        /// Tokens of instruction and document.
        tokens: usize,
        /// What the context can hold.
        limit: usize,
    },
    /// A step of a job.
    Progress {
        /// The job.
        job: JobId,
        /// The step.
        progress: Progress,
    },
    /// A run is over, also one that was cancelled.
    Finished {
        /// The job.
        job: JobId,
        /// Why the answer ended.
        stop: Stop,
        /// What it used and took.
        figures: Figures,
    },
    /// A model was downloaded.
    Pulled {
        /// The job.
        job: JobId,
    },
    /// A job failed.
    Failed {
        /// The job.
        job: JobId,
        /// Why.
        problem: Problem,
    },
}

/// A step of a job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Progress {
    /// The adapters are being composed.
    Composing,
    /// A pass begins.
    Pass {
        /// Which, from zero.
        index: usize,
        /// Of how many.
        of: usize,
        /// The tasks it does.
        task: String,
    },
    /// So much of the prompt is in the context.
    Prefill {
        /// Tokens done.
        done: usize,
        /// Tokens in all.
        total: usize,
    },
    /// A token came.
    Token {
        /// The text that it completed.
        text: String,
        /// Whether it is part of the answer, not of a pass before it.
        answer: bool,
    },
    /// So many bytes of a download are on disk.
    Bytes {
        /// Bytes on disk.
        done: u64,
        /// Bytes in all, where that is known.
        total: Option<u64>,
    },
}

/// Why a job failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// What kind of problem it is.
    pub kind: Kind,
    /// In words.
    pub message: String,
}

/// Problems that the interface has a way out of, and others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// The model is not on this machine, and it is known where it could be downloaded.
    NoModel,
    /// The document is longer than the context.
    Overflow,
    /// The job was cancelled.
    Cancelled,
    /// Anything else.
    Other,
}

impl Problem {
    pub(super) fn other(message: &dyn std::fmt::Display) -> Self {
        Self { kind: Kind::Other, message: message.to_string() }
    }
}

impl From<PlanError> for Problem {
    fn from(error: PlanError) -> Self {
        let pullable = matches!(error, PlanError::Find(FindError::NotPulled { .. }));
        let kind = if pullable { Kind::NoModel } else { Kind::Other };
        Self { kind, message: error.to_string() }
    }
}

impl From<EngineError> for Problem {
    fn from(error: EngineError) -> Self {
        let kind = match error {
            EngineError::ContextOverflow { .. } => Kind::Overflow,
            EngineError::LoadCancelled => Kind::Cancelled,
            _ => Kind::Other,
        };
        Self { kind, message: error.to_string() }
    }
}

impl From<RunError> for Problem {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Engine(error) => error.into(),
            other => Self::other(&other),
        }
    }
}
