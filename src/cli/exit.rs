//! Exit codes, and which errors end in which.

use std::fmt::Display;
use std::io;
use std::process::ExitCode;

use crate::compose::ComposeError;
use crate::engine::EngineError;
use crate::plan::PlanError;
use crate::run::RunError;

/// How a command ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    /// 0: done, or the reader of our output left.
    Done,
    /// 1: failed for a reason that has no code of its own.
    Failed,
    /// 2: a wrong option, task or configuration.
    Usage,
    /// 3: the document cannot be read, is empty or is no text.
    Input,
    /// 4: a model or an adapter is missing, damaged or does not fit.
    Unfit,
    /// 5: the document is longer than the context.
    Overflow,
    /// 6: the answer was cut off at its token limit, and `--strict` was given.
    CutOff,
    /// 128 + the signal that ended it.
    Signal(u8),
}

impl Exit {
    /// The number.
    pub(super) fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Input => 3,
            Self::Unfit => 4,
            Self::Overflow => 5,
            Self::CutOff => 6,
            Self::Signal(signal) => 128u8.saturating_add(signal),
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// An error on its way to the user: one line and an exit code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) exit: Exit,
    pub(super) message: String,
}

impl Failure {
    pub(super) fn new(exit: Exit, message: impl Display) -> Self {
        Self { exit, message: message.to_string() }
    }

    pub(super) fn general(error: &dyn Display) -> Self {
        Self::new(Exit::Failed, error)
    }
}

/// A failed write to stdout: a closed pipe is a quiet end, because its reader has what it wanted.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::new(Exit::Done, ""),
            _ => Self::new(Exit::Failed, format!("cannot write the output: {error}")),
        }
    }
}

impl From<PlanError> for Failure {
    fn from(error: PlanError) -> Self {
        let exit = match &error {
            PlanError::Task(_)
            | PlanError::Weights { .. }
            | PlanError::Weight(_)
            | PlanError::WeightsUnused(..)
            | PlanError::LoraMethod(_)
            | PlanError::NoTask => Exit::Usage,
            PlanError::Find(_)
            | PlanError::Header(_)
            | PlanError::NotThere(_)
            | PlanError::Read { .. }
            | PlanError::Hash { .. }
            | PlanError::NoAdapter { .. }
            | PlanError::NoCalibration { .. }
            | PlanError::Calibration(_)
            | PlanError::Fit { .. } => Exit::Unfit,
        };
        Self::new(exit, error)
    }
}

impl From<ComposeError> for Failure {
    fn from(error: ComposeError) -> Self {
        let exit = match &error {
            ComposeError::Cache(_) => Exit::Failed,
            ComposeError::Read(_)
            | ComposeError::Check { .. }
            | ComposeError::Merge(_)
            | ComposeError::Calibration(_)
            | ComposeError::Fit { .. } => Exit::Unfit,
        };
        Self::new(exit, error)
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        let exit = match &error {
            EngineError::Load { .. } | EngineError::Adapter { .. } | EngineError::ChatTemplate => Exit::Unfit,
            EngineError::ContextOverflow { .. } => Exit::Overflow,
            EngineError::Nul(_) => Exit::Input,
            EngineError::LoadCancelled | EngineError::Native(_) => Exit::Failed,
        };
        Self::new(exit, error)
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Compose(error) => error.into(),
            RunError::Engine(error) => error.into(),
            RunError::EmptyStep { .. } => Self::new(Exit::Failed, error),
        }
    }
}
