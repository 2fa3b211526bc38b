//! `nfold train`: adapters and calibrations.

mod distil;
mod examples;
mod progress;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::adapter::{self, Adapter, Card, Precision};
use crate::calibration::{self, Calibration, Fit};
use crate::compose::Recipe;
use crate::engine::llama::{Llama, LoadOptions};
use crate::file;
use crate::gguf::Value;
use crate::library::{self, file_stem};
use crate::plan::{Ask, Plan};
use crate::strategy::Method;
use crate::train::{self, Base, Group, Job, Optimizer, Outcome, Settings, Shape, TrainError};

use super::Session;
use super::args::train::{AdapterArgs, CalibrationArgs, Origin, TrainCommand, Training, Variant};
use super::exit::{Exit, Failure};

use examples::Reader;
use progress::Progress;

pub(super) fn run(session: &Session, command: &TrainCommand) -> Result<Exit, Failure> {
    match command {
        TrainCommand::Adapter(args) => adapter(session, args),
        TrainCommand::Calibration(args) => calibration(session, args),
    }
}

fn adapter(session: &Session, args: &AdapterArgs) -> Result<Exit, Failure> {
    let training = &args.training;
    let plan = plan(session, training, std::slice::from_ref(&args.task), Method::Prompt, &[])?;
    let start = match &args.init {
        None => None,
        Some(path) => Some(start(path, &plan)?),
    };
    let shape = match &start {
        None => Shape::Adapter {
            rank: usize::from(args.rank),
            alpha: args.alpha.unwrap_or(2.0 * f32::from(args.rank)),
        },
        Some(start) => Shape::Adapter { rank: start.ranks().0, alpha: start.alpha },
    };
    let trainer = Trainer::new(session, training, &plan, &file_stem(&plan.combination))?;
    let engine = load(&plan)?;
    let mut reader = Reader::new(session, training, &engine);
    let group = reader.group(&plan, None, &training.data)?;
    let data = reader.finish();
    drop(engine);
    let groups = [group];
    let outcome = trainer.learn(shape, start.as_ref(), &groups, 4e-4)?;
    let Some(outcome) = outcome else { return Ok(trainer.stopped()) };
    let before = start.as_ref().and_then(|start| start.card.data.as_deref());
    let data = before.map_or_else(|| data.clone(), |before| format!("{data}; begun from an adapter of: {before}"));
    let card = Card {
        task: Some(plan.combination.clone()),
        base_name: Some(plan.base.name.clone()),
        base_sha256: Some(plan.base.sha256),
        data: Some(data),
        license: training.license.clone(),
        provenance: Some(trainer.provenance("adapter", shape, &outcome)),
        figures: Some(figures(&outcome)),
    };
    let Some(learned) = outcome.adapter(&plan.base.header.architecture, shape, card) else {
        return Ok(Exit::Failed);
    };
    trainer.write(&outcome, |path| adapter::write(path, &learned, Precision::F16))
}

fn calibration(session: &Session, args: &CalibrationArgs) -> Result<Exit, Failure> {
    let training = &args.training;
    if args.tasks.len() > 1 && !args.shared {
        return Err(Failure::new(Exit::Usage, "several combinations share one calibration only with `--shared`"));
    }
    let method = if args.method == crate::merge::Method::Linear { Method::Linear } else { Method::Concat };
    let mut plans = Vec::new();
    for task in &args.tasks {
        plans.push(plan(session, training, std::slice::from_ref(task), method, &args.weights)?);
    }
    let recipes: Vec<Recipe> = plans.iter().filter_map(|plan| plan.passes[0].recipe.clone()).collect();
    let kind = match (args.variant, args.shared) {
        (Variant::LowRank, false) => library::Variant::LowRank,
        (Variant::Vector, false) => library::Variant::Vector,
        (Variant::LowRank, true) => library::Variant::SharedLowRank,
        (Variant::Vector, true) => library::Variant::SharedVector,
    };
    let stem = format!("calibrations/{}", kind.file_stem(&plans[0].combination));
    let trainer = Trainer::new(session, training, &plans[0], &stem)?;
    let mut engine = load(&plans[0])?;
    let mut data = training.data.clone();
    if args.from == Origin::MultiStep {
        let steps = plan(session, training, &args.tasks, Method::MultiStep, &[])?;
        let Some(distilled) = distil::distil(session, &mut engine, &steps, training, &trainer.beside("distilled.jsonl"))?
        else {
            return Ok(trainer.stopped());
        };
        data = vec![distilled];
    }
    let mut reader = Reader::new(session, training, &engine);
    let mut groups = Vec::new();
    for (plan, recipe) in plans.iter().zip(&recipes) {
        let merged = recipe.compose(&plan.base.header, plan.base.sha256)?;
        groups.push(reader.group(plan, Some(merged), &data)?);
    }
    let data_card = reader.finish();
    drop(engine);
    let shape = match args.variant {
        Variant::Vector => Shape::Vector,
        Variant::LowRank => Shape::LowRank { rank: usize::from(args.rank) },
    };
    let outcome = trainer.learn(shape, None, &groups, 3e-3)?;
    let Some(outcome) = outcome else { return Ok(trainer.stopped()) };
    let ingredients = recipes.iter().flat_map(|recipe| &recipe.ingredients);
    let learned = Calibration {
        architecture: plans[0].base.header.architecture.clone(),
        fit: Fit {
            combinations: plans.iter().map(|plan| plan.combination.clone()).collect(),
            method: args.method,
            weights: recipes[0].ingredients.iter().map(|part| part.weight).collect(),
            base: plans[0].base.sha256,
            adapters: ingredients.map(|part| (part.name.clone(), part.sha256)).collect::<BTreeMap<_, _>>(),
        },
        corrections: outcome.corrections(),
    };
    let text = |key: &str, text: String| (format!("nfold.{key}"), Value::String(text));
    let mut extra = vec![
        text("data", data_card),
        text("provenance", trainer.provenance("calibration", shape, &outcome)),
        text("figures", figures(&outcome)),
    ];
    extra.extend(training.license.clone().map(|license| text("license", license)));
    trainer.write(&outcome, |path| calibration::write(path, &learned, &extra))
}

/// The plan of a run with these tasks: it names the base model, the prompt, and for a merge the recipe.
fn plan(
    session: &Session,
    training: &Training,
    tasks: &[String],
    method: Method,
    weights: &[f32],
) -> Result<Plan, Failure> {
    let config = &session.config;
    let ask = Ask {
        model: training.model.clone().unwrap_or_else(|| config.model.clone()),
        tasks: tasks.to_vec(),
        method,
        weights: weights.to_vec(),
        calibration: None,
        loras: Vec::new(),
        system: (!config.system.is_empty()).then(|| config.system.clone()),
        sampling: config.sampling.clone(),
        max_tokens: None,
        context: None,
    };
    Ok(Plan::resolve(&ask, config, &session.paths)?)
}

/// An adapter to go on from: one rank throughout, on every weight that is learned.
fn start(path: &Path, plan: &Plan) -> Result<Adapter, Failure> {
    let unfit = |problem: String| Failure::new(Exit::Unfit, format!("adapter `{}` {problem}", path.display()));
    let adapter = adapter::read(path).map_err(|error| Failure::new(Exit::Unfit, error))?;
    adapter.check(&plan.base.header, plan.base.sha256).map_err(|error| unfit(error.to_string()))?;
    match adapter.ranks() {
        (low, high) if low == high && adapter.alpha > 0.0 => Ok(adapter),
        (low, high) => Err(unfit(format!("has ranks {low} to {high} and alpha {}: nothing to go on from", adapter.alpha))),
    }
}

/// The model in llama.cpp, which makes tokens of texts as runs will.
fn load(plan: &Plan) -> Result<Llama, Failure> {
    let go_on = |_| std::ops::ControlFlow::Continue(());
    Ok(Llama::load(&plan.base.header.path, LoadOptions { threads: None, gpu_layers: Some(0) }, go_on)?)
}

fn figures(outcome: &Outcome) -> String {
    format!("dev loss {:.4}, {:.4} before (nats per output token)", outcome.best_loss, outcome.start_loss)
}

/// What adapters and calibrations have in common: where the result goes, and the training itself.
struct Trainer<'a> {
    session: &'a Session,
    training: &'a Training,
    plan: &'a Plan,
    output: PathBuf,
    /// Keeps another training from writing the same file, as long as it lives.
    _lock: fs::File,
}

impl<'a> Trainer<'a> {
    fn new(session: &'a Session, training: &'a Training, plan: &'a Plan, stem: &str) -> Result<Self, Failure> {
        let usual = || session.paths.data.join("adapters").join(&plan.base.name).join(format!("{stem}.gguf"));
        let output = training.output.clone().unwrap_or_else(usual);
        let cannot = |error: io::Error| {
            Failure::new(Exit::Failed, format!("cannot write `{}`: {error}", output.display()))
        };
        if let Some(folder) = output.parent() {
            fs::create_dir_all(folder).map_err(cannot)?;
        }
        file::check_writable(&output).map_err(cannot)?;
        let lock = fs::File::create(beside(&output, "lock")).map_err(cannot)?;
        if lock.try_lock().is_err() {
            let message = format!("another training is writing `{}`; wait for it or name another `--output`", output.display());
            return Err(Failure::new(Exit::Failed, message));
        }
        Ok(Self { session, training, plan, output, _lock: lock })
    }

    /// A file beside the result.
    fn beside(&self, ending: &str) -> PathBuf {
        beside(&self.output, ending)
    }

    /// Learns; `None` where a signal ended it.
    fn learn(
        &self,
        shape: Shape,
        start: Option<&Adapter>,
        groups: &[Group],
        learning_rate: f32,
    ) -> Result<Option<Outcome>, Failure> {
        let training = self.training;
        self.set_threads();
        let device = train::device();
        let base = Base::read(&self.plan.base.header.path, &device).map_err(|error| Failure::new(Exit::Unfit, error))?;
        let settings = self.settings(groups, learning_rate);
        let checkpoint = self.beside("checkpoint");
        let job = Job {
            base: &base,
            shape,
            start,
            groups,
            settings: &settings,
            checkpoint: Some((&checkpoint, training.checkpoint_every)),
            resume: training.resume,
        };
        let mut progress = Progress::new(self.session.console, training.jsonl, settings.steps)?;
        self.session.console.note(&format!(
            "learning {} numbers beside {} frozen ones, {} steps",
            train::parameters(shape, &base),
            base.parameters(),
            settings.steps
        ));
        let outcome = train::learn(&job, &mut |event| progress.event(&event));
        progress.finish()?;
        match outcome {
            Ok(outcome) if outcome.end == train::End::Cancelled => Ok(None),
            Ok(outcome) => Ok(Some(outcome)),
            Err(TrainError::NotFinite { step, best: Some(best) }) => {
                let message = TrainError::NotFinite { step, best: None }.to_string();
                self.session.console.note(&message);
                Ok(Some(*best))
            }
            Err(error @ TrainError::Checkpoint(_)) => Err(Failure::new(Exit::Unfit, error)),
            Err(error @ (TrainError::NoExamples | TrainError::NoDev)) => Err(Failure::new(Exit::Input, error)),
            Err(error) => Err(Failure::general(&error)),
        }
    }

    fn set_threads(&self) {
        let mut pool = rayon::ThreadPoolBuilder::new();
        if self.training.threads > 0 {
            pool = pool.num_threads(self.training.threads);
        }
        // It can be set once in a process, and once is enough.
        drop(pool.build_global());
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "estimates")]
    fn settings(&self, groups: &[Group], learning_rate: f32) -> Settings {
        let training = self.training;
        let batch_tokens = training.batch_tokens as usize;
        let tokens = |group: &Group| -> f64 {
            group.examples.iter().map(|example| example.len() as f64 * f64::from(example.weight.0) / 1000.0).sum()
        };
        // Batches end with whole examples, so they are a little less than full.
        let per_epoch = groups.iter().map(|group| (tokens(group) / (batch_tokens as f64 * 0.93)).ceil()).sum::<f64>();
        let steps = (per_epoch.max(1.0) * f64::from(training.epochs)).ceil() as u64;
        Settings {
            seed: training.seed,
            steps: training.steps.unwrap_or(steps),
            batch_tokens,
            optimizer: Optimizer {
                learning_rate: training.learning_rate.unwrap_or(learning_rate),
                warmup: training.warmup,
                weight_decay: training.weight_decay,
                clip: training.clip,
            },
            evaluations: training.evaluations,
            patience: training.patience,
            time_limit: training.time_limit,
        }
    }

    fn provenance(&self, what: &str, shape: Shape, outcome: &Outcome) -> String {
        let training = self.training;
        let rate = training.learning_rate.map_or_else(|| "default".to_owned(), |rate| rate.to_string());
        format!(
            "nfold {} train {what}: {shape:?}, {} numbers, {} steps, {} tokens, {:.0} s, batches of {} tokens, \
             learning rate {rate}, warm-up {}, weight decay {}, clip {}, seed {}, ended by {:?}",
            env!("CARGO_PKG_VERSION"),
            outcome.parameters(),
            outcome.steps,
            outcome.tokens,
            outcome.seconds,
            training.batch_tokens,
            training.warmup,
            training.weight_decay,
            training.clip,
            training.seed,
            outcome.end,
        )
    }

    /// Writes the result where it is better than what training began with, and clears up.
    fn write(&self, outcome: &Outcome, write: impl FnOnce(&Path) -> io::Result<()>) -> Result<Exit, Failure> {
        let console = self.session.console;
        let path = &self.output;
        if outcome.best_loss >= outcome.start_loss && self.training.steps != Some(0) {
            let message = format!(
                "the dev loss did not get better than {:.4}, so nothing was written; more data or another learning rate may help",
                outcome.start_loss
            );
            return Err(Failure::new(Exit::Failed, message));
        }
        write(path).map_err(|error| {
            Failure::new(Exit::Failed, format!("cannot write `{}`: {error}; the checkpoint is kept", path.display()))
        })?;
        drop(fs::remove_file(self.beside("checkpoint")));
        drop(fs::remove_file(self.beside("lock")));
        console.note(&format!("{}; written to {}", figures(outcome), path.display()));
        Ok(Exit::Done)
    }

    fn stopped(&self) -> Exit {
        let checkpoint = self.beside("checkpoint");
        if checkpoint.is_file() {
            let message = format!("stopped; the same command with `--resume` goes on from {}", checkpoint.display());
            self.session.console.note(&message);
        }
        Exit::Signal(2)
    }
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".");
    name.push(ending);
    path.with_file_name(name)
}
