//! Answers: one, or several side by side, each from a run of its own.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::{Duration, Instant};

use similar::{ChangeTag, TextDiff};

use crate::engine::Stop;
use crate::eval::metric::chrf::Chrf;
use crate::eval::metric::rouge::Rouge;
use crate::history::Entry;
use crate::plan::{Ask, Summary};
use crate::run::Figures;
use crate::sanitize::sanitize;
use crate::tui::page::Page;
use crate::worker::{Event, JobId, Kind, Problem, Progress};

/// Longer texts are not scored or compared word by word, in bytes: it takes time that grows with their square.
const LONGEST: usize = 64 << 10;

/// How far an answer is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Phase {
    /// Another one runs before it.
    Queued,
    /// The engine was asked.
    Starting,
    /// The model is being loaded, 0 to 1.
    Loading(f32),
    /// The adapters are being composed.
    Composing,
    /// The prompt is being computed: tokens done, of all.
    Prefill(usize, usize),
    /// Tokens come.
    Decoding,
    /// It is whole, or at a limit.
    Done(Stop),
    /// The user ended it.
    Stopped,
    /// It failed.
    Failed(Problem),
}

impl Phase {
    pub(crate) fn is_over(&self) -> bool {
        matches!(self, Self::Done(_) | Self::Stopped | Self::Failed(_))
    }
}

/// Likeness to the reference.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Score {
    /// ROUGE-L, 0 to 1.
    pub(crate) rouge: f64,
    /// chrF++, 0 to 100.
    pub(crate) chrf: f64,
}

/// An answer, as far as it has come.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) ask: Ask,
    pub(crate) summary: Option<Summary>,
    pub(crate) page: Page,
    pub(crate) phase: Phase,
    /// The pass that runs: which from zero, of how many, its tasks.
    pub(crate) pass: Option<(usize, usize, String)>,
    /// Tokens that came in the passes so far.
    pub(crate) tokens: usize,
    /// When it was started, when the pass that runs began to decode, and the tokens before that.
    started: Option<Instant>,
    decoding: Option<(Instant, usize)>,
    /// From the start to the answer's first token.
    pub(crate) first_token: Option<Duration>,
    /// Tokens a second, as measured so far.
    pub(crate) speed: f64,
    pub(crate) figures: Option<Figures>,
    /// What the history holds of an answer from earlier.
    pub(crate) entry: Option<Entry>,
    pub(crate) score: Option<Score>,
    /// The words that the first answer beside it has not.
    pub(crate) changed: Vec<Range<usize>>,
}

impl Answer {
    fn new(ask: Ask) -> Self {
        Self {
            ask,
            summary: None,
            page: Page::growing(),
            phase: Phase::Queued,
            pass: None,
            tokens: 0,
            started: None,
            decoding: None,
            first_token: None,
            speed: 0.0,
            figures: None,
            entry: None,
            score: None,
            changed: Vec::new(),
        }
    }

    /// An answer from earlier.
    pub(crate) fn earlier(ask: Ask, entry: &Entry) -> Self {
        let figures = entry.figures.clone();
        Self {
            page: Page::new(sanitize(&entry.answer)),
            phase: Phase::Done(Stop::EndOfGeneration),
            tokens: figures.output,
            first_token: Some(figures.first_token),
            speed: figures.decode_speed(),
            figures: Some(figures),
            entry: Some(entry.clone()),
            ..Self::new(ask)
        }
    }

    /// What is copied and saved.
    pub(crate) fn text(&self) -> &str {
        self.page.text().trim()
    }

    fn progress(&mut self, progress: &Progress, now: Instant) {
        match progress {
            Progress::Composing => self.phase = Phase::Composing,
            Progress::Pass { index, of, task } => {
                self.pass = Some((*index, *of, task.clone()));
                self.decoding = None;
                self.phase = Phase::Prefill(0, 1);
            }
            Progress::Prefill { done, total } => self.phase = Phase::Prefill(*done, *total),
            Progress::Token { text, answer } => self.token(text, *answer, now),
            Progress::Bytes { .. } => {}
        }
    }

    fn token(&mut self, text: &str, answer: bool, now: Instant) {
        self.phase = Phase::Decoding;
        self.tokens += 1;
        let (since, before) = *self.decoding.get_or_insert((now, self.tokens));
        let seconds = now.saturating_duration_since(since).as_secs_f64();
        if seconds > 0.0 {
            #[expect(clippy::cast_precision_loss, reason = "token counts are small")]
            let tokens = (self.tokens - before) as f64;
            self.speed = tokens / seconds;
        }
        if answer {
            let waited = || self.started.map(|started| now.saturating_duration_since(started));
            self.first_token = self.first_token.or_else(waited);
            let text = sanitize(text);
            // Models begin with a blank now and then.
            let text = if self.page.is_empty() { text.trim_start() } else { &text };
            self.page.push(text);
        }
    }
}

/// What an event came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    /// It was about another job.
    Nothing,
    /// More came.
    More,
    /// The answer at this place is over.
    Over(usize),
}

/// Answers side by side, one of which runs at a time.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    list: Vec<Answer>,
    /// The one that keys are about.
    current: usize,
    queue: VecDeque<usize>,
    running: Option<(JobId, usize)>,
    pub(crate) show_differences: bool,
}

impl Answers {
    pub(crate) fn list(&self) -> &[Answer] {
        &self.list
    }

    pub(crate) fn index(&self) -> usize {
        self.current
    }

    pub(crate) fn current(&self) -> Option<&Answer> {
        self.list.get(self.current)
    }

    pub(crate) fn running(&self) -> Option<&Answer> {
        self.running.and_then(|(_, index)| self.list.get(index))
    }

    pub(crate) fn is_running(&self) -> bool {
        self.running.is_some()
    }

    pub(crate) fn select(&mut self, index: usize) {
        if index < self.list.len() {
            self.current = index;
        }
    }

    /// Moves to the answer beside; `false` at the ends.
    pub(crate) fn step(&mut self, forward: bool) -> bool {
        let next = if forward { self.current + 1 } else { self.current.wrapping_sub(1) };
        let there = next < self.list.len();
        self.current = if there { next } else { self.current };
        there
    }

    pub(crate) fn show(&mut self, answer: Answer) {
        *self = Self { list: vec![answer], ..Self::default() };
    }

    /// Puts new answers in the place of those before; the first is to be run now.
    pub(crate) fn begin(&mut self, asks: Vec<Ask>) {
        let list: Vec<Answer> = asks.into_iter().map(Answer::new).collect();
        *self = Self { queue: (0..list.len()).collect(), show_differences: list.len() > 1, list, ..Self::default() };
    }

    /// Starts the next run in the queue, and gives what to ask.
    pub(crate) fn start_next(&mut self, job: JobId, now: Instant) -> Option<Ask> {
        let index = self.queue.pop_front()?;
        self.running = Some((job, index));
        let answer = self.list.get_mut(index)?;
        answer.phase = Phase::Starting;
        answer.started = Some(now);
        Some(answer.ask.clone())
    }

    /// Ends the run and what waits behind it; gives its job. What came stays.
    pub(crate) fn cancel(&mut self) -> Option<JobId> {
        let (job, _) = self.running.take()?;
        self.queue.clear();
        self.list.iter_mut().filter(|answer| !answer.phase.is_over()).for_each(|answer| answer.phase = Phase::Stopped);
        Some(job)
    }

    /// The engine is gone: the run failed with what it left.
    pub(crate) fn lose(&mut self, why: &str) {
        if let Some((_, index)) = self.running {
            self.cancel();
            let message = why.to_owned();
            self.list[index].phase = Phase::Failed(Problem { kind: Kind::Other, message });
        }
    }

    pub(crate) fn hear(&mut self, event: &Event, now: Instant) -> Heard {
        let Some((running, index)) = self.running else { return Heard::Nothing };
        let answer = &mut self.list[index];
        match event {
            Event::Loading(share) if matches!(answer.phase, Phase::Starting | Phase::Loading(_)) => {
                answer.phase = Phase::Loading(*share);
                Heard::More
            }
            Event::Planned { job, summary } if *job == running => {
                answer.summary = Some(summary.clone());
                Heard::More
            }
            Event::Progress { job, progress } if *job == running => {
                answer.progress(progress, now);
                Heard::More
            }
            Event::Finished { job, stop, figures } if *job == running => {
                answer.phase = Phase::Done(*stop);
                answer.speed = figures.decode_speed();
                answer.figures = Some(figures.clone());
                self.over(index)
            }
            Event::Failed { job, problem } if *job == running => {
                answer.phase = Phase::Failed(problem.clone());
                self.over(index)
            }
            _ => Heard::Nothing,
        }
    }

    fn over(&mut self, index: usize) -> Heard {
        self.running = None;
        self.compare(index);
        Heard::Over(index)
    }

    /// Finds the words of an answer that the first one has not.
    fn compare(&mut self, index: usize) {
        let [first, ..] = self.list.as_slice() else { return };
        let (old, new) = (first.page.text(), self.list[index].page.text());
        if index == 0 || old.len().max(new.len()) > LONGEST {
            return;
        }
        let (mut at, mut changed) = (0, Vec::new());
        for change in TextDiff::from_words(old, new).iter_all_changes() {
            let length = change.value().len();
            if change.tag() == ChangeTag::Insert && !change.value().trim().is_empty() {
                changed.push(at..at + length);
            }
            at += if change.tag() == ChangeTag::Delete { 0 } else { length };
        }
        self.list[index].changed = changed;
    }

    /// Scores the answers that are over against a reference, or takes their scores away.
    pub(crate) fn score(&mut self, reference: Option<&str>) {
        for answer in &mut self.list {
            let short = |text: &&str| text.len() <= LONGEST;
            let text = Some(answer.page.text()).filter(|text| answer.phase.is_over() && !text.is_empty());
            answer.score = reference.filter(short).zip(text.filter(short)).map(|(reference, text)| Score {
                rouge: Rouge::of(text, reference).longest,
                chrf: Chrf::of(text, reference).score(),
            });
        }
    }

    /// Does the same to the window of every answer: they scroll in step.
    pub(crate) fn scroll(&mut self, mut scroll: impl FnMut(&mut Page)) {
        self.list.iter_mut().for_each(|answer| scroll(&mut answer.page));
    }

    pub(crate) fn current_page(&mut self) -> Option<&mut Page> {
        self.list.get_mut(self.current).map(|answer| &mut answer.page)
    }

    pub(crate) fn resize(&mut self, index: usize, width: u16, height: u16) {
        if let Some(answer) = self.list.get_mut(index) {
            answer.page.resize(width, height);
        }
    }
}
