//! `nfold eval`: methods side by side on texts with references.

use std::collections::{BTreeMap, HashSet};
use std::ops::ControlFlow;
use std::path::Path;

use crate::compose::ComposeError;
use crate::data::{self, DataError, Pair};
use crate::engine::llama::{Llama, LoadOptions};
use crate::eval::method::{self, Method, Setting};
use crate::eval::{self, Candidate, Cell, EvalError, Outputs, table};
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
    let evaluation = Evaluation { session, args, ask: &ask, base: &base };
    let contests = evaluation.contests(&methods, &combinations)?;
    let engine = load(session, args, &base)?;
    let (cells, signal) = evaluation.run(contests, engine, &mut outputs)?;
    if !cells.is_empty() {
        report(args, &cells)?;
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

/// One combination: texts with references, worked examples, and the methods to run on them.
struct Contest<'a> {
    combination: &'a Combination,
    texts: Texts,
    candidates: Vec<Candidate>,
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
}

/// Why a method cannot run on a combination.
enum Unable {
    /// It lacks a file, or cannot merge these adapters, as `linear` cannot those of unequal ranks: it may do on others.
    Here(Failure),
    /// Something is wrong with what is asked, or with a file.
    Anywhere(Failure),
}

impl From<PlanError> for Unable {
    fn from(error: PlanError) -> Self {
        match error {
            PlanError::NoAdapter { .. } | PlanError::NoCalibration { .. } | PlanError::Fit { .. } => {
                Self::Here(error.into())
            }
            error => Self::Anywhere(error.into()),
        }
    }
}

impl From<ComposeError> for Unable {
    fn from(error: ComposeError) -> Self {
        match error {
            ComposeError::Merge(_) => Self::Here(error.into()),
            error => Self::Anywhere(error.into()),
        }
    }
}

/// A method for a combination, its adapters made: what can go wrong with them shows before hours of work.
fn candidate(method: &'static dyn Method, setting: &Setting<'_>) -> Result<Candidate, Unable> {
    let candidate = Candidate::new(method, setting)?;
    candidate.compose(setting)?;
    Ok(candidate)
}

impl<'a> Evaluation<'a> {
    fn setting<'s>(&self, combination: &'s Combination, shots: &'s [Pair]) -> Setting<'s>
    where
        'a: 's,
    {
        let Self { session, ask, base, .. } = *self;
        Setting { ask, config: &session.config, paths: &session.paths, model: &base.name, combination, shots }
    }

    /// What is to be run, all of it known before it begins. A method that cannot run on a combination is left out there; one
    /// that was asked for by name and can run on none of them is refused.
    fn contests<'s>(
        &self,
        methods: &[&'static dyn Method],
        combinations: &'s [Combination],
    ) -> Result<Vec<Contest<'s>>, Failure> {
        let mut contests = Vec::new();
        let mut fitting = HashSet::new();
        let mut left_out: BTreeMap<&str, (Failure, Vec<String>)> = BTreeMap::new();
        for combination in combinations {
            let Some(texts) = self.texts(combination)? else { continue };
            let setting = self.setting(combination, &texts.shots);
            let mut candidates = Vec::new();
            for method in methods {
                if method.name() == "in-context" && texts.shots.is_empty() {
                    continue;
                }
                match candidate(*method, &setting) {
                    Ok(candidate) => {
                        fitting.insert(method.name());
                        candidates.push(candidate);
                    }
                    Err(Unable::Here(why)) => {
                        left_out.entry(method.name()).or_insert((why, Vec::new())).1.push(combination.id());
                    }
                    Err(Unable::Anywhere(why)) => return Err(why),
                }
            }
            contests.push(Contest { combination, texts, candidates });
        }
        for (method, (first, combinations)) in left_out {
            if !self.args.methods.is_empty() && !fitting.contains(method) {
                return Err(first);
            }
            let message = format!("{method} is left out for {}: {}", combinations.join(", "), first.message);
            self.session.console.note(&message);
        }
        Ok(contests)
    }

    /// Runs them, and gives what was measured, with the signal that broke it off, if one did.
    fn run(
        &self,
        contests: Vec<Contest<'_>>,
        mut engine: Llama,
        outputs: &mut Outputs,
    ) -> Result<(Vec<Cell>, Option<u8>), Failure> {
        let bar = self.session.console.progress("evaluating", Unit::Steps);
        let count = |contest: &Contest<'_>| contest.candidates.len() * contest.texts.pairs.len();
        bar.set_length(contests.iter().map(count).sum::<usize>() as u64);
        let mut signals = Signals::default();
        signals.listen()?;
        let (mut cells, mut before, mut signal) = (Vec::new(), 0, None);
        for contest in contests {
            let end = before + count(&contest);
            let Contest { combination, texts, candidates } = contest;
            bar.set_message(sanitize(&combination.id()));
            let mut go_on = |done: usize| {
                bar.set_position((before + done) as u64);
                if signals.received().is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            };
            let setting = self.setting(combination, &texts.shots);
            let found = eval::evaluate(candidates, &setting, &texts.pairs, outputs, &mut engine, &mut go_on);
            let Some(found) = found.map_err(failure)? else {
                signal = signals.received();
                break;
            };
            cells.extend(found);
            before = end;
        }
        bar.finish_and_clear();
        Ok((cells, signal))
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
}

fn report(args: &EvalArgs, cells: &[Cell]) -> Result<(), Failure> {
    let detailed = table::detailed(cells, args.baseline.as_deref());
    let both = format!("{}\n{detailed}", table::summary(cells));
    Console::out(&both)?;
    if let Some(path) = &args.markdown {
        file::write_whole(path, |out| out.write_all(both.as_bytes())).map_err(|error| cannot_write(path, &error))?;
    }
    if let Some(path) = &args.json {
        let text = serde_json::to_string_pretty(cells).map_err(|error| Failure::general(&error))?;
        file::write_whole(path, |out| writeln!(out, "{text}")).map_err(|error| cannot_write(path, &error))?;
    }
    Ok(())
}

fn failure(error: EvalError) -> Failure {
    match error {
        EvalError::Run(error) => error.into(),
        EvalError::Outputs(error) => Failure::general(&error),
    }
}
