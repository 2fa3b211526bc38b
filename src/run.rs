//! Running a plan: compose each pass's adapter, run the passes one after another, report every step.

mod figures;

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::compose::{Cache, ComposeError};
use crate::engine::{Engine, EngineError, Outcome, Request, Step, Stop};
use crate::plan::{PassPlan, Plan};

pub use figures::{Figures, Setup, millis};

/// What happens during a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// A pass begins.
    PassStarted {
        /// Which, from zero.
        index: usize,
        /// Of how many.
        of: usize,
        /// The tasks it does.
        task: &'a str,
    },
    /// A step of a pass.
    Step {
        /// Whether this is the pass whose text is the answer.
        last: bool,
        /// The step.
        step: Step<'a>,
    },
}

/// A pass that is over.
#[derive(Debug, Clone, PartialEq)]
pub struct PassReport {
    /// The tasks it did.
    pub task: String,
    /// The text it put out.
    pub text: String,
    /// What it used and took.
    pub outcome: Outcome,
}

/// An adapter that was composed before the passes.
#[derive(Debug, Clone, PartialEq)]
pub struct ComposedAdapter {
    /// The file; `None` where the pass runs on the bare model.
    pub path: Option<PathBuf>,
    /// Whether it was in the cache.
    pub cached: bool,
}

/// A run that is over, also one that was cancelled.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Its passes; the last one's text is the answer.
    pub passes: Vec<PassReport>,
}

impl Report {
    /// The answer: the last pass's text.
    #[must_use]
    pub fn text(&self) -> &str {
        self.passes.last().map_or("", |pass| &pass.text)
    }

    /// Why the run ended: as its last pass did.
    #[must_use]
    pub fn stop(&self) -> Stop {
        self.passes.last().map_or(Stop::Cancelled, |pass| pass.outcome.stop)
    }
}

/// Why a run failed.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum RunError {
    #[error(transparent)]
    Compose(#[from] ComposeError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("the pass for `{task}` gave no text, so there is nothing for the next one to work on")]
    EmptyStep { task: String },
}

/// Makes the adapter file of every pass, or finds it in the cache; gives them with the time that took.
pub fn compose(plan: &Plan, cache: &Cache) -> Result<(Vec<ComposedAdapter>, Duration), ComposeError> {
    let started = Instant::now();
    let mut adapters = Vec::new();
    for pass in &plan.passes {
        adapters.push(match &pass.recipe {
            None => ComposedAdapter { path: None, cached: false },
            Some(recipe) => {
                let composed = recipe.materialize(&plan.base.header, plan.base.sha256, cache)?;
                ComposedAdapter { path: Some(composed.path), cached: composed.cached }
            }
        });
    }
    Ok((adapters, started.elapsed()))
}

/// The request of a pass over a document.
#[must_use]
pub fn request(plan: &Plan, pass: &PassPlan, adapter: Option<PathBuf>, document: &str) -> Request {
    Request {
        system: plan.system.clone(),
        user: pass.combination.as_ref().map_or_else(|| document.to_owned(), |tasks| tasks.user_message(document)),
        adapter,
        sampling: pass.sampling.clone(),
        max_tokens: pass.max_tokens,
        context: plan.context,
    }
}

/// Runs all passes; each after the first reads what the one before put out. `Break` from `on_event` cancels.
pub fn execute(
    plan: &Plan,
    adapters: Vec<ComposedAdapter>,
    document: &str,
    engine: &mut dyn Engine,
    on_event: &mut dyn FnMut(Event<'_>) -> ControlFlow<()>,
) -> Result<Report, RunError> {
    let mut report = Report { passes: Vec::new() };
    let of = plan.passes.len();
    for (index, (pass, adapter)) in plan.passes.iter().zip(adapters).enumerate() {
        let document = report.passes.last().map_or(document, |before| before.text.as_str());
        let task = pass.combination.as_ref().map_or_else(String::new, crate::task::Combination::id);
        let request = request(plan, pass, adapter.path, document);
        let last = index + 1 == of;
        let mut text = String::new();
        if on_event(Event::PassStarted { index, of, task: &task }).is_break() {
            break;
        }
        let outcome = engine.generate(&request, &mut |step| {
            if let Step::Token(piece) = step {
                text.push_str(piece);
            }
            on_event(Event::Step { last, step })
        })?;
        let stop = outcome.stop;
        let empty = text.trim().is_empty();
        report.passes.push(PassReport { task: task.clone(), text, outcome });
        if stop == Stop::Cancelled {
            break;
        }
        if empty && !last {
            return Err(RunError::EmptyStep { task });
        }
    }
    Ok(report)
}
