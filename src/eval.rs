//! Measuring methods against each other on texts with references.
//!
//! Every output is kept, so that an evaluation that was broken off goes on, and one that was run before costs nothing as
//! long as model, adapters and settings are the same.

pub mod method;
pub mod metric;
mod outputs;
mod score;
pub mod table;

use std::fmt::Write as _;
use std::ops::ControlFlow;
use std::path::PathBuf;

use crate::compose::{Cache, ComposeError};
use crate::data::Pair;
use crate::digest::Digest;
use crate::engine::{Engine, Stop};
use crate::plan::{Plan, PlanError};
use crate::run::{self, ComposedAdapter, RunError};
use crate::task::Combination;

use method::{Method, Setting};

pub use outputs::{Output, Outputs, OutputsError};
pub use score::{Interval, Scores};

/// One method on one combination: what came out, measured.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Cell {
    /// The combination.
    pub task: String,
    /// The method's name.
    pub method: &'static str,
    /// What was measured.
    pub scores: Scores,
}

/// Why an evaluation failed.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum EvalError {
    #[error(transparent)]
    Run(#[from] RunError),
    #[error(transparent)]
    Outputs(#[from] OutputsError),
}

/// A method on one combination: what it runs, and what came out so far.
#[derive(Debug)]
pub struct Candidate {
    method: &'static dyn Method,
    plan: Plan,
    /// The file stored for the combination beside the tasks' adapters.
    stored: Option<PathBuf>,
    found: Vec<Output>,
}

impl Candidate {
    /// Plans a method's passes.
    pub fn new(method: &'static dyn Method, setting: &Setting<'_>) -> Result<Self, PlanError> {
        let (plan, stored) = (method.plan(setting)?, method.stored(setting)?);
        Ok(Self { method, plan, stored, found: Vec::new() })
    }

    /// Makes its adapters, or finds them in the cache.
    pub fn compose(&self, setting: &Setting<'_>) -> Result<Vec<ComposedAdapter>, ComposeError> {
        Ok(run::compose(&self.plan, &Cache::in_folder(setting.paths.composed()))?.0)
    }

    /// Runs a text, or finds what it gave before. `None` where `go_on` broke off.
    ///
    /// A text whose first pass gives nothing counts as an empty answer.
    fn answer(
        &self,
        setting: &Setting<'_>,
        text: &str,
        outputs: &mut Outputs,
        engine: &mut dyn Engine,
        go_on: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<Option<Output>, EvalError> {
        let document = self.method.document(setting, text);
        let key = key(&self.plan, &document);
        if let Some(output) = outputs.get(key) {
            return Ok(Some(output.clone()));
        }
        // Each time anew: what other methods compose can push it out of the cache.
        let adapters = self.compose(setting).map_err(RunError::from)?;
        let output = match run::execute(&self.plan, adapters, &document, engine, &mut |_| go_on()) {
            Ok(report) if report.stop() == Stop::Cancelled => return Ok(None),
            Ok(report) => Output::of(&report),
            Err(RunError::EmptyStep { .. }) => Output::empty(self.plan.passes.len()),
            Err(error) => return Err(error.into()),
        };
        Ok(Some(outputs.add(key, (setting.combination.id(), self.method.name()), output)?))
    }
}

/// Runs all methods on every pair. `None` where `on_output` broke off; what was put out until then is kept.
///
/// They go text by text, each text through all methods, so that a machine that is slow for a while is slow for all of them.
/// `on_output` hears how many outputs are done.
pub fn evaluate(
    mut candidates: Vec<Candidate>,
    setting: &Setting<'_>,
    pairs: &[Pair],
    outputs: &mut Outputs,
    engine: &mut dyn Engine,
    on_output: &mut dyn FnMut(usize) -> ControlFlow<()>,
) -> Result<Option<Vec<Cell>>, EvalError> {
    let mut done = 0;
    for pair in pairs {
        for candidate in &mut candidates {
            let Some(output) = candidate.answer(setting, &pair.input, outputs, engine, &mut || on_output(done))? else {
                return Ok(None);
            };
            candidate.found.push(output);
            done += 1;
            if on_output(done).is_break() {
                return Ok(None);
            }
        }
    }
    let language = language(setting.combination);
    let cell = |candidate: &Candidate| Cell {
        task: setting.combination.id(),
        method: candidate.method.name(),
        scores: Scores::of(&candidate.found, pairs, &language, candidate.stored.as_deref()),
    };
    Ok(Some(candidates.iter().map(cell).collect()))
}

/// The code of the language an answer should be in: the combination's, else English, which all instructions are in.
fn language(combination: &Combination) -> String {
    let language = combination.tasks().iter().find_map(|task| task.language.as_ref());
    language.map_or_else(|| "en".to_owned(), |language| language.code().to_owned())
}

/// Everything that decides an output, digested.
fn key(plan: &Plan, document: &str) -> Digest {
    let mut text = format!("{} {:?} {:?}\n", plan.base.sha256, plan.system, plan.context);
    for pass in &plan.passes {
        let recipe = pass.recipe.as_ref().map(|recipe| recipe.key(plan.base.sha256));
        let instruction = pass.combination.as_ref().map(|combination| combination.user_message(""));
        let _ = writeln!(text, "{recipe:?} {instruction:?} {:?} {}", pass.sampling, pass.max_tokens);
    }
    Digest::of((text + document).as_bytes())
}
