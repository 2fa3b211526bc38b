//! What learning adapters and calibrations have in common: where the result goes, and the training itself.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::file;
use crate::plan::Plan;
use crate::train::{self, Base, Group, Job, Optimizer, Outcome, Settings, Shape, Start, TrainError};

use super::super::Session;
use super::super::args::train::Training;
use super::super::exit::{Exit, Failure};
use super::progress::Progress;

/// Dev losses, for the card.
pub(super) fn figures(outcome: &Outcome) -> String {
    format!("dev loss {:.4}, {:.4} before (nats per output token)", outcome.best_loss, outcome.start_loss)
}

/// One training: it holds the lock on its result.
pub(super) struct Trainer<'a> {
    session: &'a Session,
    training: &'a Training,
    plan: &'a Plan,
    output: PathBuf,
    /// Keeps another training from writing the same file, as long as it lives.
    _lock: fs::File,
}

impl<'a> Trainer<'a> {
    pub(super) fn new(
        session: &'a Session,
        training: &'a Training,
        plan: &'a Plan,
        stem: &str,
    ) -> Result<Self, Failure> {
        let architecture = &plan.base.header.architecture;
        if !train::ARCHITECTURES.contains(&architecture.as_str()) {
            let known = train::ARCHITECTURES.join(" and ");
            let message =
                format!("model `{}` is of architecture `{architecture}`; training knows {known}", plan.base.name);
            return Err(Failure::new(Exit::Unfit, message));
        }
        let usual = || session.paths.data.join("adapters").join(&plan.base.name).join(format!("{stem}.gguf"));
        let output = training.output.clone().unwrap_or_else(usual);
        let cannot =
            |error: io::Error| Failure::new(Exit::Failed, format!("cannot write `{}`: {error}", output.display()));
        if let Some(folder) = output.parent() {
            fs::create_dir_all(folder).map_err(cannot)?;
        }
        file::check_writable(&output).map_err(cannot)?;
        let lock = fs::File::create(beside(&output, "lock")).map_err(cannot)?;
        if lock.try_lock().is_err() {
            let message =
                format!("another training is writing `{}`; wait for it or name another `--output`", output.display());
            return Err(Failure::new(Exit::Failed, message));
        }
        Ok(Self { session, training, plan, output, _lock: lock })
    }

    /// A file beside the result.
    pub(super) fn beside(&self, ending: &str) -> PathBuf {
        beside(&self.output, ending)
    }

    /// Learns. A signal that ends it is a failure that tells how to go on.
    pub(super) fn learn(
        &self,
        shape: Shape,
        start: Option<Start<'_>>,
        groups: &[Group],
        learning_rate: f32,
    ) -> Result<Outcome, Failure> {
        let training = self.training;
        let threads = self.threads()?;
        let device = train::device();
        let base = threads.install(|| Base::read(&self.plan.base.header.path, &device));
        let base = base.map_err(|error| Failure::new(Exit::Unfit, error))?;
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
        self.session.console.note(&format!(
            "learning {} numbers beside {} frozen ones, {} steps",
            train::parameters(shape, &base),
            base.parameters(),
            settings.steps
        ));
        let mut progress = Progress::new(self.session.console, training.jsonl, settings.steps)?;
        // From inside: a thread outside hands every operation over and sleeps until it is done.
        let outcome = threads.install(|| train::learn(&job, &mut |event| progress.event(&event)));
        let signal = progress.finish()?;
        match outcome {
            Ok(outcome) if outcome.end == train::End::Cancelled => Err(stopped(signal, &checkpoint)),
            Ok(outcome) => Ok(outcome),
            Err(TrainError::NotFinite { step, best: Some(best) }) => {
                let message = TrainError::NotFinite { step, best: None }.to_string();
                self.session.console.note(&message);
                Ok(*best)
            }
            Err(error @ TrainError::Checkpoint(_)) => Err(Failure::new(Exit::Unfit, error)),
            Err(error @ (TrainError::NoExamples | TrainError::NoDev)) => Err(Failure::new(Exit::Input, error)),
            Err(error) => Err(Failure::general(&error)),
        }
    }

    fn threads(&self) -> Result<rayon::ThreadPool, Failure> {
        let threads = rayon::ThreadPoolBuilder::new().num_threads(self.training.threads).build();
        threads.map_err(|error| Failure::new(Exit::Failed, format!("cannot start threads: {error}")))
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "estimates"
    )]
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

    pub(super) fn provenance(&self, what: &str, shape: Shape, outcome: &Outcome) -> String {
        let training = self.training;
        let rate = training.learning_rate.map_or_else(|| "default".to_owned(), |rate| rate.to_string());
        // Without a time limit the same seed gives the same file, and no two runs take the same time.
        let time = training.time_limit.map_or_else(String::new, |_| format!("{:.0} s, ", outcome.seconds));
        format!(
            "nfold {} train {what}: {shape:?}, {} numbers, {} steps, {} tokens, {time}batches of {} tokens, \
             learning rate {rate}, warm-up {}, weight decay {}, clip {}, seed {}, ended by {:?}",
            env!("CARGO_PKG_VERSION"),
            outcome.parameters(),
            outcome.steps,
            outcome.tokens,
            training.batch_tokens,
            training.warmup,
            training.weight_decay,
            training.clip,
            training.seed,
            outcome.end,
        )
    }

    /// Writes the result where it is better than what training began with, and clears up.
    pub(super) fn write(
        &self,
        outcome: &Outcome,
        write: impl FnOnce(&Path) -> io::Result<()>,
    ) -> Result<Exit, Failure> {
        let console = self.session.console;
        let path = &self.output;
        if outcome.best_loss >= outcome.start_loss && self.training.steps != Some(0) {
            let message = format!(
                "the dev loss did not get better than {:.4}, so nothing was written; more data or another learning rate may \
                 help, and `--steps 0` writes what training began with",
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
}

/// A training that a signal ended; what was done lies in a file.
pub(super) fn stopped(signal: Option<u8>, kept: &Path) -> Failure {
    let message = format!("stopped; the same command with `--resume` goes on from {}", kept.display());
    Failure::new(Exit::Signal(signal.unwrap_or(2)), message)
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".");
    name.push(ending);
    path.with_file_name(name)
}
