//! How a combination is run: what is asked for ([`Method`]) and what it comes to ([`Strategy`]).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::merge;

/// How adapters are to be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// The best that is there: a single task's adapter, a combination's calibration, one pass for each task, the prompt.
    Auto,
    /// The base model and the instruction, no adapter.
    Prompt,
    /// Adapters merged by [`merge::Method::Linear`].
    Linear,
    /// Adapters merged by [`merge::Method::Concat`].
    Concat,
    /// Adapters merged and corrected by a learned calibration.
    Calibrated,
    /// One pass for each task, each with its own adapter.
    MultiStep,
}

impl Method {
    /// Every method, in the order in which they are listed to users.
    pub const ALL: [Self; 6] =
        [Self::Auto, Self::Prompt, Self::Linear, Self::Concat, Self::Calibrated, Self::MultiStep];

    /// The word for it on the command line and in the configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Prompt => "prompt",
            Self::Linear => "linear",
            Self::Concat => "concat",
            Self::Calibrated => "calibrated",
            Self::MultiStep => "multi-step",
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// A word that is no method.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no method; there are auto, prompt, linear, concat, calibrated and multi-step")]
pub struct UnknownMethod(String);

impl FromStr for Method {
    type Err = UnknownMethod;

    fn from_str(text: &str) -> Result<Self, UnknownMethod> {
        Self::ALL.into_iter().find(|method| method.name() == text).ok_or_else(|| UnknownMethod(text.to_owned()))
    }
}

/// What a method came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// The base model and the instruction.
    Prompt,
    /// One adapter, as it is.
    Adapter,
    /// Adapters merged by [`merge::Method::Linear`].
    Linear,
    /// Adapters merged by [`merge::Method::Concat`].
    Concat,
    /// Adapters merged and calibrated.
    Calibrated,
    /// One pass for each task.
    MultiStep,
}

impl Strategy {
    /// The word for it in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Prompt => "prompt",
            Self::Adapter => "adapter",
            Self::Linear => "linear",
            Self::Concat => "concat",
            Self::Calibrated => "calibrated",
            Self::MultiStep => "multi-step",
        }
    }
}

impl From<merge::Method> for Strategy {
    fn from(method: merge::Method) -> Self {
        match method {
            merge::Method::Linear => Self::Linear,
            merge::Method::Concat => Self::Concat,
        }
    }
}
