//! What a training is asked, what it tells, and what it comes to.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use crate::adapter::{Adapter, Card, Matrix, Pair};
use crate::calibration::Correction;

use super::adamw::Optimizer;
use super::base::Base;
use super::batch::Example;
use super::checkpoint::CheckpointError;
use super::learned::{Learned, Shape};

/// How a training runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Settings {
    /// Decides first factors and the order of examples.
    pub seed: u64,
    /// Updates in all.
    pub steps: u64,
    /// Tokens of a batch, at most; a longer example makes a batch alone.
    pub batch_tokens: usize,
    /// How updates are made.
    pub optimizer: Optimizer,
    /// How often the dev loss is taken, evenly over the training.
    pub evaluations: u64,
    /// The training ends after so many evaluations without a better dev loss; zero for never.
    pub patience: u32,
    /// The training ends after this time; the learning rate decays towards it. Such a run cannot be repeated bit for bit.
    pub time_limit: Option<Duration>,
}

/// What a training is about.
#[derive(Debug)]
pub struct Job<'a> {
    /// The frozen model.
    pub base: &'a Base,
    /// What is learned.
    pub shape: Shape,
    /// What to go on from.
    pub start: Option<Start<'a>>,
    /// What is learned from. More than one where a calibration is shared by combinations.
    pub groups: &'a [Group],
    /// How.
    pub settings: &'a Settings,
    /// Where checkpoints go, and how often.
    pub checkpoint: Option<(&'a Path, Duration)>,
    /// Whether to go on from the checkpoint there.
    pub resume: bool,
}

/// What was learned before and is to be learned further: of the same kind as what is learned and of no larger rank. A smaller
/// one is filled up with pairs that change nothing yet.
#[derive(Debug, Clone, Copy)]
pub enum Start<'a> {
    /// An adapter, of the same scaling.
    Adapter(&'a Adapter),
    /// Corrections by module type.
    Corrections(&'a BTreeMap<String, Correction>),
}

/// Examples of one combination.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// The frozen merged adapter that is calibrated; `None` where an adapter is learned.
    pub merged: Option<Adapter>,
    /// What is learned from.
    pub examples: Vec<Example>,
    /// What is never learned from: it judges.
    pub dev: Vec<Example>,
}

/// What happens during a training.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// An update was made.
    Step {
        /// Updates so far.
        step: u64,
        /// Passes through the data so far.
        epoch: u64,
        /// The batch's loss, in nats per output token.
        loss: f64,
        /// The gradient's norm before clipping.
        norm: f32,
        /// The learning rate.
        learning_rate: f32,
        /// Tokens computed so far, prompts included.
        tokens: u64,
        /// Tokens per second of this update.
        tokens_per_second: f64,
        /// The share that is done, 0 to 1.
        progress: f32,
        /// Seconds so far.
        seconds: f64,
    },
    /// The dev loss was taken.
    Evaluation {
        /// Updates so far.
        step: u64,
        /// In nats per output token.
        dev_loss: f64,
        /// Whether it is the best so far.
        best: bool,
    },
    /// A checkpoint was written.
    Checkpoint {
        /// Updates so far.
        step: u64,
    },
}

/// Why a training ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// All updates were made.
    Steps,
    /// The time was up.
    TimeLimit,
    /// The dev loss did not get better any more.
    EarlyStop,
    /// The caller broke off; a checkpoint was written where one was asked for.
    Cancelled,
}

/// A training that is over.
#[derive(Debug)]
pub struct Outcome {
    pub(super) learned: Learned,
    /// Why it ended.
    pub end: End,
    /// Dev loss before the first update.
    pub start_loss: f64,
    /// The best dev loss; what is learned is of that moment.
    pub best_loss: f64,
    /// Updates made.
    pub steps: u64,
    /// Tokens computed, prompts included.
    pub tokens: u64,
    /// Time taken, over all resumed parts.
    pub seconds: f64,
}

/// Why a training failed.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum TrainError {
    #[error("there are no examples to learn from")]
    NoExamples,
    #[error("there are no dev examples to judge by")]
    NoDev,
    #[error("what to go on from {0}")]
    Start(String),
    #[error(
        "the loss is not a finite number at step {step}; a lower `--learning-rate` may help, the best so far is kept"
    )]
    NotFinite { step: u64, best: Option<Box<Outcome>> },
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    #[error("cannot write checkpoint `{path}`: {source}", path = path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("computing failed: {0}")]
    Compute(#[from] candle_core::Error),
}

impl Outcome {
    /// How many numbers were learned.
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.learned.numbers.len()
    }

    /// What was learned as an adapter; `None` where it was a calibration.
    #[must_use]
    pub fn adapter(&self, architecture: &str, shape: Shape, card: Card) -> Option<Adapter> {
        let Shape::Adapter { alpha, .. } = shape else { return None };
        let mut pairs = BTreeMap::new();
        for (name, _) in &self.learned.factors {
            let Some(weight) = name.strip_suffix(".a") else { continue };
            let pair = Pair { a: self.matrix(name)?, b: self.matrix(&format!("{weight}.b"))? };
            pairs.insert(format!("{weight}.weight"), pair);
        }
        Some(Adapter { architecture: architecture.to_owned(), alpha, pairs, card })
    }

    /// What was learned as corrections by module type; empty where it was an adapter.
    #[must_use]
    pub fn corrections(&self) -> BTreeMap<String, Correction> {
        let names = self.learned.factors.iter().filter_map(|(name, _)| name.strip_suffix(".b"));
        let correction = |module: &str| {
            let second = self.matrix(&format!("{module}.b"))?;
            Some(match self.matrix(&format!("{module}.a")) {
                Some(p1) => Correction::LowRank { p1, p2: second },
                None => Correction::Vector(second.data().to_vec()),
            })
        };
        names.filter(|name| !name.contains('.')).filter_map(|name| Some((name.to_owned(), correction(name)?))).collect()
    }

    fn matrix(&self, name: &str) -> Option<Matrix> {
        let (factor, numbers) = self.learned.get(name)?;
        Matrix::new(factor.rows, factor.columns, numbers.to_vec())
    }
}
