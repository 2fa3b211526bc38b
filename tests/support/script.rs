//! An engine by script: what the worker's process would tell, at once and always the same. Only tests of the interface use it,
//! and the contract in `suite/worker.rs` holds it to what the real one does.

use std::time::Duration;

use nfold::config::Config;
use nfold::engine::Stop;
use nfold::plan::{Ask, Summary};
use nfold::run::Figures;
use nfold::strategy::Method;
use nfold::task::Combination;
use nfold::worker::{Command, Event, JobId, Kind, Problem, Progress};

/// What the engine is to tell.
#[derive(Clone)]
pub struct Script {
    /// The answer, token by token.
    pub tokens: Vec<String>,
    /// How a run ends; `None` where it does not end by itself.
    pub end: Option<Result<Stop, Problem>>,
    /// Whether the model is there.
    pub model: bool,
    /// Why nothing can be planned.
    pub problem: Option<String>,
    /// Whether nothing is told any more.
    pub mute: bool,
    /// The context.
    pub limit: usize,
    document: String,
    /// The document of each run so far.
    pub ran_on: Vec<String>,
    /// The run that was begun last.
    last: Option<(JobId, usize)>,
    cancelled: JobId,
}

impl Script {
    pub fn new(answer: &str) -> Self {
        let tokens = answer.split_inclusive(' ').map(str::to_owned).collect();
        let (document, ran_on, cancelled) = (String::new(), Vec::new(), JobId(0));
        Self {
            tokens,
            end: Some(Ok(Stop::EndOfGeneration)),
            model: true,
            problem: None,
            mute: false,
            limit: 8192,
            document,
            ran_on,
            last: None,
            cancelled,
        }
    }

    pub fn without_end(answer: &str) -> Self {
        Self { end: None, ..Self::new(answer) }
    }

    /// What a command is answered with.
    pub fn answer(&mut self, command: Command) -> Vec<Event> {
        match command {
            _ if self.mute => {}
            Command::Document(text) => self.document = text,
            Command::Cancel(job) => self.cancelled = self.cancelled.max(job),
            Command::Measure { job, ask } => return self.measure(job, &ask),
            Command::Run { job, ask } => return self.run(job, &ask),
            Command::Pull { job, .. } => {
                self.model = true;
                let half = Progress::Bytes { done: 49_000_000, total: Some(98_000_000) };
                return vec![Event::Progress { job, progress: half }, Event::Pulled { job }];
            }
        }
        Vec::new()
    }

    fn measure(&self, job: JobId, ask: &Ask) -> Vec<Event> {
        if !self.model {
            let message = format!("the model `{}` is not on this machine", ask.model);
            return vec![Event::Failed { job, problem: Problem { kind: Kind::NoModel, message } }];
        }
        if let Some(message) = self.problem.clone() {
            return vec![Event::Failed { job, problem: Problem { kind: Kind::Other, message } }];
        }
        let tokens = self.document.split_whitespace().count() + 10;
        vec![Event::Planned { job, summary: summary(ask) }, Event::Counted { job, tokens, limit: self.limit }]
    }

    /// The end of a run that did not end by itself.
    pub fn finish(&self) -> Option<Event> {
        let (job, passes) = self.last?;
        Some(self.over(job, passes, self.end.clone()?))
    }

    fn over(&self, job: JobId, passes: usize, end: Result<Stop, Problem>) -> Event {
        match end {
            Ok(stop) => Event::Finished { job, stop, figures: figures(passes, self.tokens.len()) },
            Err(problem) => Event::Failed { job, problem },
        }
    }

    fn run(&mut self, job: JobId, ask: &Ask) -> Vec<Event> {
        let summary = summary(ask);
        let passes = summary.passes;
        self.last = Some((job, passes));
        self.ran_on.push(self.document.clone());
        let mut events = vec![Event::Planned { job, summary }];
        let mut tell = |progress| events.push(Event::Progress { job, progress });
        tell(Progress::Composing);
        let cancelled = self.cancelled >= job;
        for index in 0..passes {
            tell(Progress::Pass { index, of: passes, task: ask.tasks.get(index).cloned().unwrap_or_default() });
            tell(Progress::Prefill { done: 10, total: 20 });
            tell(Progress::Prefill { done: 20, total: 20 });
            let tokens = if cancelled { 0 } else { self.tokens.len() };
            for text in &self.tokens[..tokens] {
                tell(Progress::Token { text: text.clone(), answer: index + 1 == passes });
            }
        }
        let end = if cancelled { Some(Ok(Stop::Cancelled)) } else { self.end.clone() };
        events.extend(end.map(|end| self.over(job, passes, end)));
        events
    }
}

fn summary(ask: &Ask) -> Summary {
    let several = ask.tasks.len() > 1;
    let (strategy, passes) = match ask.method {
        Method::Auto if several => ("calibrated", 1),
        Method::Auto => ("adapter", 1),
        Method::MultiStep => ("multi-step", ask.tasks.len()),
        other => (other.name(), 1),
    };
    // The example's configuration knows no tasks of a test's own.
    let combination = Config::example().unwrap().catalogue().combination(&ask.tasks).ok();
    let steps = combination.iter().flat_map(Combination::steps).collect();
    let combinations: Vec<_> = if passes > 1 { steps } else { combination.into_iter().collect() };
    let weight = |index: usize| ask.weights.get(index).copied().unwrap_or(if several { 0.5 } else { 1.0 });
    let adapters = ask.tasks.iter().enumerate().map(|(index, task)| (task.clone(), weight(index))).collect();
    Summary {
        model: ask.model.clone(),
        combination: ask.tasks.join("+"),
        strategy: strategy.to_owned(),
        passes,
        adapters: if strategy == "prompt" { Vec::new() } else { adapters },
        calibrated: strategy == "calibrated",
        extra_bytes: if strategy == "calibrated" { 83_232 } else { 0 },
        penalties: combinations.iter().map(|combination| ask.penalty(Some(combination))).collect(),
        max_tokens: 256,
        notes: Vec::new(),
    }
}

fn figures(passes: usize, tokens: usize) -> Figures {
    Figures {
        passes,
        prompt: 20 * passes,
        output: tokens * passes,
        context: 512,
        load: Duration::ZERO,
        compose: Duration::from_millis(2),
        prefill: Duration::from_millis(100),
        decode: Duration::from_millis(50 * tokens as u64),
        first_token: Duration::from_millis(120),
        threads: 2,
    }
}
