//! `nfold eval`: methods side by side on texts with references.

use std::ops::ControlFlow;
use std::path::Path;

use crate::data::{self, DataError, Pair};
use crate::engine::llama::{Llama, LoadOptions};
use crate::eval::method::{self, Method, Setting};
use crate::eval::{self, Cell, EvalError, Outputs, table};
use crate::file;
use crate::plan::{Ask, Base, PlanError, resolve_base};
use crate::sanitize::sanitize;
use crate::suggest::nearest;
use crate::task::{Combination, Kind};

use super::Session;
use super::args::eval::EvalArgs;
use super::console::{Console, Unit};
use super::exit::{Exit, Failure};
use super::signals::Signals;

pub(super) fn run(session: &Session, args: &EvalArgs) -> Result<Exit, Failure> {
    let methods = methods(&args.methods)?;
    if let Some(baseline) = &args.baseline {
        known(baseline)?;
    }
    if args.examples.is_none() && args.methods.iter().any(|name| name == "in-context") {
        return Err(Failure::new(Exit::Usage, "in-context shows worked examples; name their file with `--examples`"));
    }
    for path in args.json.iter().chain(&args.markdown) {
        file::check_writable(path).map_err(|error| cannot_write(path, &error))?;
    }
    let combinations = combinations(session, &args.tasks)?;
    let ask = ask(session, args);
    let base = resolve_base(&ask.model, &session.config, &session.paths)?;
    let usual = || session.paths.cache.join("eval").join(format!("{}.jsonl", base.name));
    let path = args.outputs.clone().unwrap_or_else(usual);
    let mut outputs = Outputs::open(&path).map_err(|error| Failure::general(&error))?;
    let mut evaluation =
        Evaluation { session, args, ask: &ask, base: &base, engine: load(session, args, &base)?, cells: Vec::new() };
    evaluation.check(&methods, &combinations)?;
    let signal = evaluation.run(&methods, &combinations, &mut outputs)?;
    if !evaluation.cells.is_empty() {
        evaluation.report()?;
    }
    let Some(signal) = signal else { return Ok(Exit::Done) };
    let message = format!("stopped; the same command goes on, outputs are in {}", path.display());
    Err(Failure::new(Exit::Signal(signal), message))
}

fn known(name: &str) -> Result<&'static dyn Method, Failure> {
    method::by_name(name).ok_or_else(|| {
        let hint = nearest(name, method::ALL.iter().map(|method| method.name()));
        let hint = hint.map_or_else(String::new, |hint| format!(" (did you mean `{hint}`?)"));
        let all: Vec<&str> = method::ALL.iter().map(|method| method.name()).collect();
        Failure::new(Exit::Usage, format!("`{name}` is no method{hint}; there are {}", all.join(", ")))
    })
}

fn methods(asked: &[String]) -> Result<Vec<&'static dyn Method>, Failure> {
    match asked.is_empty() {
        true => Ok(method::ALL.to_vec()),
        false => asked.iter().map(|name| known(name)).collect(),
    }
}

/// What was asked for, or every main task with every shaping one.
fn combinations(session: &Session, asked: &[String]) -> Result<Vec<Combination>, Failure> {
    let catalogue = session.config.catalogue();
    let usage = |error| Failure::new(Exit::Usage, error);
    if !asked.is_empty() {
        return asked.iter().map(|tasks| catalogue.combination(&[tasks]).map_err(usage)).collect();
    }
    let names = catalogue.examples();
    let of = |kind: Kind| {
        names.iter().filter(move |name| catalogue.task(name).is_ok_and(|task| task.kind == kind)).collect::<Vec<_>>()
    };
    let mut all = Vec::new();
    for main in of(Kind::Main) {
        for shaping in of(Kind::Shaping) {
            all.push(catalogue.combination(&[main, shaping]).map_err(usage)?);
        }
    }
    Ok(all)
}

fn ask(session: &Session, args: &EvalArgs) -> Ask {
    Ask {
        weights: args.weights.clone(),
        repeat_penalty: args.repeat_penalty,
        max_tokens: args.max_tokens,
        ..Ask::of(&session.config, args.model.as_deref())
    }
}

fn load(session: &Session, args: &EvalArgs, base: &Base) -> Result<Llama, Failure> {
    let threads = args.threads.unwrap_or(session.config.threads);
    let threads = usize::try_from(threads).ok().filter(|threads| *threads > 0);
    let gpu_layers = u32::try_from(session.config.gpu_layers).ok();
    Ok(Llama::load(&base.to_load(&session.paths), LoadOptions { threads, gpu_layers }, |_| ControlFlow::Continue(()))?)
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(Exit::Failed, format!("cannot write `{}`: {error}", path.display()))
}

/// Texts with references, and worked examples.
struct Texts {
    pairs: Vec<Pair>,
    shots: Vec<Pair>,
}

struct Evaluation<'a> {
    session: &'a Session,
    args: &'a EvalArgs,
    ask: &'a Ask,
    base: &'a Base,
    engine: Llama,
    cells: Vec<Cell>,
}

/// Whether a method lacks a file for a combination that it may have for others.
fn is_missing(error: &PlanError) -> bool {
    matches!(error, PlanError::NoAdapter { .. } | PlanError::NoCalibration { .. } | PlanError::Fit { .. })
}

impl<'a> Evaluation<'a> {
    fn setting<'s>(&self, combination: &'s Combination, shots: &'s [Pair]) -> Setting<'s>
    where
        'a: 's,
    {
        let Self { session, ask, base, .. } = *self;
        Setting { ask, config: &session.config, paths: &session.paths, model: &base.name, combination, shots }
    }

    /// Refuses a method that was asked for by name and fits none of the combinations, before hours of work.
    fn check(&self, methods: &[&'static dyn Method], combinations: &[Combination]) -> Result<(), Failure> {
        if self.args.methods.is_empty() {
            return Ok(());
        }
        for method in methods {
            let plans = combinations.iter().map(|combination| method.plan(&self.setting(combination, &[])));
            let errors: Vec<PlanError> = plans.filter_map(Result::err).collect();
            let hopeless = errors.len() == combinations.len();
            if let Some(error) = errors.into_iter().find(|error| hopeless || !is_missing(error)) {
                return Err(failure(EvalError::Plan(error)));
            }
        }
        Ok(())
    }

    /// Fills the cells; gives the signal that ended it, if one did.
    fn run(
        &mut self,
        methods: &[&'static dyn Method],
        combinations: &[Combination],
        outputs: &mut Outputs,
    ) -> Result<Option<u8>, Failure> {
        let console = self.session.console;
        let bar = console.progress("evaluating", Unit::Steps);
        bar.set_length((methods.len() * combinations.len()) as u64);
        let mut signals = Signals::default();
        signals.listen()?;
        for combination in combinations {
            let Some(Texts { pairs, shots }) = self.texts(combination)? else { continue };
            for method in methods {
                bar.inc(1);
                if method.name() == "in-context" && shots.is_empty() {
                    continue;
                }
                let name = format!("{} {}", combination.id(), method.name());
                let mut go_on = |done: usize| {
                    bar.set_message(sanitize(&format!("{name} {done}/{}", pairs.len())));
                    if signals.received().is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                };
                let setting = self.setting(combination, &shots);
                match eval::evaluate(*method, &setting, &pairs, outputs, &mut self.engine, &mut go_on) {
                    Ok(Some(cell)) => self.cells.push(cell),
                    Ok(None) => {
                        bar.finish_and_clear();
                        return Ok(signals.received());
                    }
                    Err(EvalError::Plan(error)) if is_missing(&error) => {
                        bar.suspend(|| console.note(&format!("{name} left out: {error}")));
                    }
                    Err(error) => return Err(failure(error)),
                }
            }
        }
        bar.finish_and_clear();
        Ok(None)
    }

    /// Texts with references, and worked examples; `None` where the file has none for this combination and others remain.
    fn texts(&self, combination: &Combination) -> Result<Option<Texts>, Failure> {
        let field = self.args.field.as_deref();
        let read = |source| match data::read(source, field, combination) {
            Err(DataError::Empty { .. }) if self.args.tasks.is_empty() => Ok(Vec::new()),
            Err(error) => Err(Failure::new(Exit::Input, error)),
            Ok(pairs) => Ok(pairs),
        };
        let mut pairs = read(&self.args.data)?;
        pairs.truncate(self.args.limit.unwrap_or(usize::MAX));
        let mut shots = self.args.examples.as_ref().map_or_else(|| Ok(Vec::new()), read)?;
        shots.truncate(self.args.shots);
        Ok((!pairs.is_empty()).then_some(Texts { pairs, shots }))
    }

    fn report(&self) -> Result<(), Failure> {
        let detailed = table::detailed(&self.cells, self.args.baseline.as_deref());
        let both = format!("{}\n{detailed}", table::summary(&self.cells));
        Console::out(&both)?;
        if let Some(path) = &self.args.markdown {
            file::write_whole(path, |out| out.write_all(both.as_bytes()))
                .map_err(|error| cannot_write(path, &error))?;
        }
        if let Some(path) = &self.args.json {
            let text = serde_json::to_string_pretty(&self.cells).map_err(|error| Failure::general(&error))?;
            file::write_whole(path, |out| writeln!(out, "{text}")).map_err(|error| cannot_write(path, &error))?;
        }
        Ok(())
    }
}

fn failure(error: EvalError) -> Failure {
    match error {
        EvalError::Plan(error) => error.into(),
        EvalError::Run(error) => error.into(),
        EvalError::Outputs(error) => Failure::general(&error),
    }
}
