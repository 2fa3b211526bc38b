//! What the interface knows of the engine: whether it lives, what it would do, what it downloads.

use std::sync::Arc;

use crate::plan::{Ask, Summary};
use crate::worker::{Command, Died, Event, JobId, Kind, Problem, Progress};

use super::documents::{Document, Source};
use super::event::Effect;

/// Deaths in a row, with nothing heard between them, after which the engine is not started again by itself.
const DEATHS: usize = 3;

/// What a run would do, and how far that is known.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    job: JobId,
    about: Option<(u64, Ask)>,
    pub(crate) summary: Option<Summary>,
    /// Tokens of the prompt, and the most that the context holds.
    pub(crate) tokens: Option<(usize, usize)>,
    pub(crate) problem: Option<Problem>,
}

/// A download.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pull {
    job: JobId,
    pub(crate) done: u64,
    pub(crate) total: Option<u64>,
}

/// The engine, as the interface sees it.
#[derive(Debug, Default)]
pub(crate) struct Link {
    jobs: u64,
    /// The version of the document that the engine has.
    sent: Option<u64>,
    deaths: usize,
    /// Whether the engine is not started again by itself.
    pub(crate) dead: bool,
    /// How much of the model is loaded, as long as it is being loaded.
    pub(crate) loading: Option<f32>,
    pub(crate) measured: Measured,
    pub(crate) pull: Option<Pull>,
}

impl Link {
    pub(crate) fn next_job(&mut self) -> JobId {
        self.jobs += 1;
        JobId(self.jobs)
    }

    /// Sends a document that the engine has not yet.
    fn send(&mut self, version: u64, text: &str) -> Option<Effect> {
        let known = self.sent == Some(version);
        self.sent = Some(version);
        (!known).then(|| Effect::SendDocument(Arc::from(text)))
    }

    /// Asks what a run would do, where that is not known or asked already.
    pub(crate) fn measure(&mut self, document: Option<&Document>, ask: Ask) -> Vec<Effect> {
        let (version, text) = document.map_or((0, ""), |document| (document.version, document.page.text()));
        let about = Some((version, ask.clone()));
        if self.dead || self.pull.is_some() || about == self.measured.about {
            return Vec::new();
        }
        if ask.tasks.is_empty() {
            self.measured = Measured { about, ..Measured::default() };
            return Vec::new();
        }
        let job = self.next_job();
        // What was known stays on the screen until it is known better.
        let before = std::mem::take(&mut self.measured);
        self.measured = Measured { job, about, summary: before.summary, tokens: None, problem: None };
        self.send(version, text).into_iter().chain([Effect::Send(Command::Measure { job, ask })]).collect()
    }

    /// Asks for the same again: what it depends on changed.
    pub(crate) fn forget_measure(&mut self) {
        self.measured.about = None;
    }

    pub(crate) fn run(&mut self, source: &Source, job: JobId, ask: Ask) -> Vec<Effect> {
        self.send(source.version, &source.text).into_iter().chain([Effect::Send(Command::Run { job, ask })]).collect()
    }

    pub(crate) fn pull(&mut self, model: &str) -> Vec<Effect> {
        let job = self.next_job();
        self.pull = Some(Pull { job, done: 0, total: None });
        vec![Effect::Send(Command::Pull { job, model: model.to_owned() })]
    }

    /// Ends the download.
    pub(crate) fn cancel_pull(&mut self) -> Option<Effect> {
        self.pull.take().map(|pull| Effect::Send(Command::Cancel(pull.job)))
    }

    /// Whether the model is missing, so that it could be downloaded.
    pub(crate) fn lacks_model(&self) -> bool {
        self.measured.problem.as_ref().is_some_and(|problem| problem.kind == Kind::NoModel)
    }

    /// Hears the engine; gives what the user is to be told.
    pub(crate) fn hear(&mut self, event: &Event) -> Option<Result<String, String>> {
        // Work that was done to its end: what loads or runs may still be what kills.
        if matches!(event, Event::Counted { .. } | Event::Finished { .. } | Event::Failed { .. }) {
            self.deaths = 0;
        }
        match event {
            Event::Loading(share) => self.loading = Some(*share).filter(|share| *share < 1.0),
            Event::Planned { job, summary } if *job == self.measured.job => {
                self.measured.summary = Some(summary.clone());
            }
            Event::Counted { job, tokens, limit } if *job == self.measured.job => {
                self.measured.tokens = Some((*tokens, *limit));
                self.loading = None;
            }
            // A run that was cancelled while the model was loaded for both.
            Event::Failed { job, problem } if *job == self.measured.job && problem.kind == Kind::Cancelled => {
                self.forget_measure();
                self.loading = None;
            }
            Event::Failed { job, problem } if *job == self.measured.job => {
                self.measured.summary = None;
                self.measured.problem = Some(problem.clone());
                self.loading = None;
            }
            Event::Progress { job, progress: Progress::Bytes { done, total } } => {
                if let Some(pull) = self.pull.as_mut().filter(|pull| pull.job == *job) {
                    (pull.done, pull.total) = (*done, *total);
                }
            }
            Event::Pulled { job } if self.pull.is_some_and(|pull| pull.job == *job) => {
                self.pull = None;
                self.forget_measure();
                return Some(Ok("the model is here".to_owned()));
            }
            Event::Failed { job, problem } if self.pull.is_some_and(|pull| pull.job == *job) => {
                self.pull = None;
                return Some(Err(problem.message.clone()));
            }
            _ => {}
        }
        None
    }

    /// The engine's process ended: it is started again, unless it dies each time.
    pub(crate) fn died(&mut self, died: &Died) -> (String, Option<Effect>) {
        self.deaths += 1;
        (self.sent, self.pull, self.loading) = (None, None, None);
        self.forget_measure();
        let said = died.said.as_ref().map_or_else(String::new, |said| format!(" ({said})"));
        let why = format!("the engine's process ended by {}{said}", died.how);
        if self.deaths >= DEATHS {
            self.dead = true;
            return (format!("{why}; it is not started again by itself"), None);
        }
        (format!("{why}; nothing of yours is lost, it was started again"), Some(Effect::Restart))
    }

    /// Starts a dead engine again.
    pub(crate) fn revive(&mut self) -> Option<Effect> {
        self.deaths = 0;
        std::mem::take(&mut self.dead).then_some(Effect::Restart)
    }
}
