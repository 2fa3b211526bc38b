//! Examples from the slow correct way: one pass for each task over the user's own documents.

use std::collections::HashSet;
use std::fs;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::Path;

use serde_json::{Value, json};

use crate::compose::Cache;
use crate::data::{self, Source};
use crate::engine::EngineError;
use crate::engine::llama::Llama;
use crate::plan::Plan;
use crate::run::{self, RunError};

use super::super::Session;
use super::super::args::train::Training;
use super::super::console::Unit;
use super::super::exit::{Exit, Failure};
use super::super::signals::Signals;

/// Runs the steps on every input of the data and keeps what comes out in `path`, line by line, so that nothing is run twice.
/// Begun again, it goes on where a signal ended it.
pub(super) fn distil(
    session: &Session,
    engine: &mut Llama,
    steps: &Plan,
    training: &Training,
    path: &Path,
) -> Result<Source, Failure> {
    let combination =
        session.config.catalogue().combination(&steps.tasks).map_err(|error| Failure::new(Exit::Usage, error))?;
    let mut inputs = Vec::new();
    for source in &training.data {
        inputs.extend(data::read_inputs(source, &combination).map_err(|error| Failure::new(Exit::Input, error))?);
    }
    let done = read_done(path);
    let cannot =
        |error: std::io::Error| Failure::new(Exit::Failed, format!("cannot write `{}`: {error}", path.display()));
    let mut out = fs::OpenOptions::new().create(true).append(true).open(path).map_err(cannot)?;
    let (adapters, _) = run::compose(steps, &Cache::in_folder(session.paths.composed()))?;
    let bar = session.console.progress("running multi-step", Unit::Steps);
    bar.set_length(inputs.len() as u64);
    let mut signals = Signals::default();
    signals.listen()?;
    for input in inputs {
        bar.inc(1);
        if done.contains(&input.input) {
            continue;
        }
        let mut go_on = |_: run::Event<'_>| match signals.received() {
            Some(_) => ControlFlow::Break(()),
            None => ControlFlow::Continue(()),
        };
        let report = match run::execute(steps, adapters.clone(), &input.input, engine, &mut go_on) {
            Ok(report) => report,
            // One document that cannot be run is no reason to give the others up.
            Err(
                RunError::EmptyStep { .. }
                | RunError::Engine(EngineError::ContextOverflow { .. } | EngineError::Nul(_)),
            ) => continue,
            Err(error) => return Err(error.into()),
        };
        if let Some(signal) = signals.received() {
            bar.finish_and_clear();
            let message = format!("stopped; the same command goes on, outputs are in {}", path.display());
            return Err(Failure::new(Exit::Signal(signal), message));
        }
        let line = json!({"text": input.input, "output": report.text().trim()});
        writeln!(out, "{line}").map_err(cannot)?;
    }
    bar.finish_and_clear();
    Ok(Source::plain(path))
}

/// What an earlier run left; a line that is cut off is run again.
fn read_done(path: &Path) -> HashSet<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let line = |line: &str| {
        let row: Value = serde_json::from_str(line).ok()?;
        row.get("output").and(row.get("text")?.as_str()).map(str::to_owned)
    };
    text.lines().filter_map(line).collect()
}
