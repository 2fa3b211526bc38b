//! The engine's process: one thread reads commands, one writes events, the main one works.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

use crate::compose::Cache;
use crate::config::Config;
use crate::engine::llama::{Llama, LoadOptions};
use crate::engine::{Engine, Step};
use crate::paths::Paths;
use crate::plan::{Ask, Plan, Summary};
use crate::run::{self, Figures, Setup};

use super::frame;
use super::message::{Command, Event, JobId, Kind, Problem, Progress};

/// Of a longer document only so many bytes are counted; the rest is taken to be like them.
const COUNTED: usize = 256 << 10;

/// Events that wait to be written before the engine waits for the interface.
const WAITING: usize = 256;

/// What is needed to work.
#[derive(Debug)]
pub struct Server {
    /// The configuration.
    pub config: Config,
    /// The folders.
    pub paths: Paths,
    /// Where models are downloaded from; `None` refuses to use the network.
    pub endpoint: Option<String>,
}

/// Works until the commands end.
pub fn serve(server: Server, input: impl Read + Send + 'static, output: impl Write + Send + 'static) {
    let (commands, received) = mpsc::channel();
    let (events, told) = mpsc::sync_channel(WAITING);
    let cancelled = Arc::new(AtomicU64::new(0));
    let seen = cancelled.clone();
    thread::spawn(move || read_commands(input, &commands, &seen));
    let writer = thread::spawn(move || write_events(output, &told));
    Worker { server, events, cancelled, loaded: None, document: String::new() }.work(&received);
    drop(writer.join());
}

/// Hands commands on. Cancelling is heard at once; the end of the commands cancels everything.
fn read_commands(mut input: impl Read, commands: &mpsc::Sender<Command>, cancelled: &AtomicU64) {
    while let Ok(Some(command)) = frame::read::<Command>(&mut input) {
        if let Command::Cancel(job) = command {
            cancelled.fetch_max(job.0, Ordering::Relaxed);
        } else if commands.send(command).is_err() {
            break;
        }
    }
    cancelled.store(u64::MAX, Ordering::Relaxed);
}

fn write_events(mut output: impl Write, events: &Receiver<Event>) {
    while let Ok(event) = events.recv() {
        if frame::write(&mut output, &event).is_err() {
            break; // The interface is gone; the next send fails and ends the work.
        }
    }
}

struct Worker {
    server: Server,
    events: SyncSender<Event>,
    cancelled: Arc<AtomicU64>,
    loaded: Option<(PathBuf, Llama)>,
    document: String,
}

impl Worker {
    fn work(mut self, commands: &Receiver<Command>) {
        let mut queue = VecDeque::new();
        loop {
            if queue.is_empty() {
                match commands.recv() {
                    Ok(command) => queue.push_back(command),
                    Err(_) => return,
                }
            }
            queue.extend(commands.try_iter());
            let Some(command) = queue.pop_front() else { continue };
            let overtaken = queue.iter().any(|later| matches!(later, Command::Measure { .. } | Command::Run { .. }));
            let (job, result) = match command {
                Command::Document(text) => {
                    self.document = text;
                    continue;
                }
                Command::Measure { .. } if overtaken => continue,
                Command::Measure { job, ask } => (job, self.measure(job, &ask)),
                Command::Run { job, ask } => (job, self.run(job, &ask)),
                Command::Pull { job, model } => (job, self.pull(job, &model)),
                Command::Cancel(_) => continue,
            };
            let event = result.unwrap_or_else(|problem| Event::Failed { job, problem });
            if self.events.send(event).is_err() {
                return;
            }
        }
    }

    fn tell(&self, job: JobId, progress: Progress) -> ControlFlow<()> {
        let gone = self.events.send(Event::Progress { job, progress }).is_err();
        match gone || self.is_cancelled(job) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }

    fn is_cancelled(&self, job: JobId) -> bool {
        self.cancelled.load(Ordering::Relaxed) >= job.0
    }

    fn plan(&self, job: JobId, ask: &Ask) -> Result<Plan, Problem> {
        let plan = Plan::resolve(ask, &self.server.config, &self.server.paths)?;
        let summary = Summary::of(&plan);
        drop(self.events.send(Event::Planned { job, summary }));
        Ok(plan)
    }

    /// Loads the plan's model where another or none is loaded, and gives the time that took.
    fn load(&mut self, job: JobId, plan: &Plan) -> Result<Duration, Problem> {
        let path = &plan.base.header.path;
        if self.loaded.as_ref().is_some_and(|(loaded, _)| loaded == path) {
            return Ok(Duration::ZERO);
        }
        self.loaded = None; // Two models may not fit into memory.
        let started = Instant::now();
        let (events, cancelled) = (self.events.clone(), self.cancelled.clone());
        let config = &self.server.config;
        let options = LoadOptions {
            threads: usize::try_from(config.threads).ok().filter(|threads| *threads > 0),
            gpu_layers: u32::try_from(config.gpu_layers).ok(),
        };
        let mut percent = -1;
        let model = Llama::load(&plan.base.to_load(&self.server.paths), options, move |fraction| {
            #[expect(clippy::cast_possible_truncation, reason = "a fraction of 100")]
            let now = (fraction * 100.0) as i32;
            let gone = now != percent && events.send(Event::Loading(fraction)).is_err();
            percent = now;
            match gone || cancelled.load(Ordering::Relaxed) >= job.0 {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        })?;
        self.loaded = Some((path.clone(), model));
        Ok(started.elapsed())
    }

    fn engine(&mut self) -> Result<&mut Llama, Problem> {
        self.loaded.as_mut().map(|(_, model)| model).ok_or_else(|| Problem::other(&"no model is loaded"))
    }

    fn measure(&mut self, job: JobId, ask: &Ask) -> Result<Event, Problem> {
        let plan = self.plan(job, ask)?;
        self.load(job, &plan)?;
        let document = std::mem::take(&mut self.document);
        let counted = self.count(&plan, &document);
        self.document = document;
        let (tokens, limit) = counted?;
        Ok(Event::Counted { job, tokens, limit })
    }

    fn count(&mut self, plan: &Plan, document: &str) -> Result<(usize, usize), Problem> {
        let engine = self.engine()?;
        let limit = plan.context.unwrap_or(u32::MAX).min(engine.trained_context()) as usize;
        let head = &document[..document.floor_char_boundary(COUNTED.min(document.len()))];
        let tokens = engine.prompt(&run::request(plan, &plan.passes[0], None, head))?.tokens;
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an estimate"
        )]
        let all = (tokens as f64 * (document.len().max(1) as f64 / head.len().max(1) as f64)) as usize;
        Ok((all, limit))
    }

    fn run(&mut self, job: JobId, ask: &Ask) -> Result<Event, Problem> {
        let plan = self.plan(job, ask)?;
        let load = self.load(job, &plan)?;
        let document = std::mem::take(&mut self.document);
        let result = self.run_on(job, &plan, load, &document);
        self.document = document;
        result
    }

    fn run_on(&mut self, job: JobId, plan: &Plan, load: Duration, document: &str) -> Result<Event, Problem> {
        let _ = self.tell(job, Progress::Composing);
        let cache = Cache::in_folder(self.server.paths.composed());
        let (adapters, compose) = run::compose(plan, &cache).map_err(|error| Problem::other(&error))?;
        let setup = Setup { load, compose, adapters: adapters.clone() };
        let Some((path, mut engine)) = self.loaded.take() else {
            return Err(Problem::other(&"no model is loaded"));
        };
        let result = run::execute(plan, adapters, document, &mut engine, &mut |event| {
            let progress = match event {
                run::Event::PassStarted { index, of, task } => Progress::Pass { index, of, task: task.to_owned() },
                run::Event::Step { step: Step::Prefill { done, total }, .. } => Progress::Prefill { done, total },
                run::Event::Step { step: Step::Token(text), last } => {
                    Progress::Token { text: text.to_owned(), answer: last }
                }
            };
            self.tell(job, progress)
        });
        self.loaded = Some((path, engine));
        let report = result?;
        Ok(Event::Finished { job, stop: report.stop(), figures: Figures::of(&setup, &report) })
    }

    #[cfg(feature = "download")]
    fn pull(&mut self, job: JobId, model: &str) -> Result<Event, Problem> {
        use crate::model::{PullError, Source, pull};

        let Some(endpoint) = &self.server.endpoint else {
            return Err(Problem::other(&"HF_HUB_OFFLINE is set: nothing is downloaded"));
        };
        let entry = self.server.config.models.get(model);
        let Some((entry, source)) = entry.and_then(|entry| Some((entry, Source::of(entry, endpoint)?))) else {
            return Err(Problem::other(&format!("the configuration names nothing to download `{model}` from")));
        };
        let target = self.server.paths.models().join(&entry.file);
        let result = pull(&source, &target, &mut |progress| {
            self.tell(job, Progress::Bytes { done: progress.done, total: progress.total })
        });
        match result {
            Ok(()) => Ok(Event::Pulled { job }),
            Err(error @ PullError::Cancelled) => Err(Problem { kind: Kind::Cancelled, message: error.to_string() }),
            Err(error) => Err(Problem::other(&error)),
        }
    }

    #[cfg(not(feature = "download"))]
    fn pull(&mut self, _: JobId, model: &str) -> Result<Event, Problem> {
        let message =
            format!("this nfold was built without downloads; fetch the model and `nfold models add` it: {model}");
        Err(Problem { kind: Kind::Other, message })
    }
}
