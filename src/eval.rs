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

use crate::compose::Cache;
use crate::data::Pair;
use crate::digest::Digest;
use crate::engine::{Engine, Stop};
use crate::plan::{Plan, PlanError};
use crate::run::{self, RunError};
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
    Plan(#[from] PlanError),
    #[error(transparent)]
    Run(#[from] RunError),
    #[error(transparent)]
    Outputs(#[from] OutputsError),
}

/// Runs a method on every pair, or finds what it gave before. `None` where `on_output` broke off.
///
/// `on_output` hears how many pairs are done. A pair whose first pass gives nothing counts as an empty answer.
pub fn evaluate(
    method: &dyn Method,
    setting: &Setting<'_>,
    pairs: &[Pair],
    outputs: &mut Outputs,
    engine: &mut dyn Engine,
    on_output: &mut dyn FnMut(usize) -> ControlFlow<()>,
) -> Result<Option<Cell>, EvalError> {
    let plan = method.plan(setting)?;
    let cache = Cache::in_folder(setting.paths.composed());
    let mut adapters = None;
    let mut found = Vec::new();
    for (done, pair) in pairs.iter().enumerate() {
        let document = method.document(setting, &pair.input);
        let key = key(&plan, &document);
        let output = if let Some(output) = outputs.get(key) {
            output.clone()
        } else {
            let adapters = match &adapters {
                Some(adapters) => adapters,
                None => adapters.insert(run::compose(&plan, &cache).map_err(RunError::from)?.0),
            };
            let Some(output) = run_one(&plan, adapters.clone(), &document, engine, &mut || on_output(done))? else {
                return Ok(None);
            };
            outputs.add(key, (setting.combination.id(), method.name()), output)?
        };
        found.push(output);
        if on_output(done + 1).is_break() {
            return Ok(None);
        }
    }
    let language = language(setting.combination);
    let scores = Scores::of(&found, pairs, &language, method.stored(setting)?.as_deref());
    Ok(Some(Cell { task: setting.combination.id(), method: method.name(), scores }))
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

fn run_one(
    plan: &Plan,
    adapters: Vec<run::ComposedAdapter>,
    document: &str,
    engine: &mut dyn Engine,
    go_on: &mut dyn FnMut() -> ControlFlow<()>,
) -> Result<Option<Output>, EvalError> {
    match run::execute(plan, adapters, document, engine, &mut |_| go_on()) {
        Ok(report) if report.stop() == Stop::Cancelled => Ok(None),
        Ok(report) => Ok(Some(Output::of(&report))),
        Err(RunError::EmptyStep { .. }) => Ok(Some(Output::empty(plan.passes.len()))),
        Err(error) => Err(error.into()),
    }
}
