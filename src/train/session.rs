//! The training loop: batches, updates, dev loss, early stopping, checkpoints.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use crate::adapter::Matrix;
use crate::calibration::Correction;
use crate::digest::Digest;

use super::adamw::Moments;
use super::base::Base;
use super::batch;
use super::checkpoint::{self, Rows, State};
use super::job::{End, Event, Group, Job, Outcome, Settings, Start, TrainError};
use super::learned::Learned;
use super::pass::{Batch, Matrices, Pass};

/// Learns. `on_event` hears every step; `Break` ends the training after it.
pub fn learn(job: &Job<'_>, on_event: &mut dyn FnMut(Event) -> ControlFlow<()>) -> Result<Outcome, TrainError> {
    Session::begin(job)?.run(on_event)
}

/// The mean loss over all examples at the start of a training, and the gradient of each factor by its name: what is checked
/// against PyTorch.
pub fn gradients(job: &Job<'_>) -> Result<(f64, BTreeMap<String, Vec<f32>>), TrainError> {
    let session = Session::begin(job)?;
    let mut sums = vec![0.0; session.learned.numbers.len()];
    let (mut loss, mut count) = (0.0, 0);
    for (group, batch) in epoch(job.groups, job.settings, 0) {
        let matrices = session.learned.fuse(job.base, job.groups[group].merged.as_ref(), None)?;
        let pass = Pass::new(job.base, &matrices, &batch);
        loss += pass.gradients(&mut |place| session.learned.accumulate(&place, &mut sums))?;
        count += batch.targets.len();
    }
    #[expect(clippy::cast_precision_loss, reason = "counts are small")]
    Ok((loss / count.max(1) as f64, session.learned.by_name(&sums)))
}

/// The logits behind every token of one sequence, row after row: what is checked against llama.cpp.
pub fn logits(base: &Base, ids: &[u32]) -> Result<Vec<Vec<f32>>, TrainError> {
    let batch = Batch { ids: ids.to_vec(), lengths: vec![ids.len()], targets: Vec::new() };
    Ok(Pass::new(base, &base.copy()?, &batch).logits()?.to_vec2::<f32>()?)
}

/// A batch and the group it belongs to.
type Grouped = (usize, Batch);

fn in_order(job: &Job<'_>) -> Vec<Grouped> {
    let of = |(index, group): (usize, &Group)| {
        let batches = batch::in_order(&group.dev, job.settings.batch_tokens);
        batches.into_iter().map(move |batch| (index, batch)).collect::<Vec<_>>()
    };
    job.groups.iter().enumerate().flat_map(of).collect()
}

/// The batches of an epoch over all groups, mixed: the same for the same seed and epoch.
fn epoch(groups: &[Group], settings: &Settings, epoch: u64) -> Vec<Grouped> {
    let mut all = Vec::new();
    for (index, group) in groups.iter().enumerate() {
        let batches = batch::epoch(&group.examples, settings.batch_tokens, settings.seed, epoch);
        all.extend(batches.into_iter().map(|batch| (index, batch)));
    }
    if groups.len() > 1 {
        fastrand::Rng::with_seed(settings.seed ^ epoch).shuffle(&mut all);
    }
    all
}

struct Session<'a> {
    job: &'a Job<'a>,
    learned: Learned,
    moments: Moments,
    best: Vec<f32>,
    state: State,
    dev: Vec<Grouped>,
    /// What the step before multiplied with, to be written over.
    matrices: Option<Matrices>,
    /// The step after which the dev loss was taken last.
    evaluated: u64,
    started: Instant,
    saved: Instant,
    _memory: Reserve,
}

impl<'a> Session<'a> {
    fn begin(job: &'a Job<'a>) -> Result<Self, TrainError> {
        if job.groups.iter().all(|group| group.examples.is_empty()) {
            return Err(TrainError::NoExamples);
        }
        if job.groups.iter().all(|group| group.dev.is_empty()) {
            return Err(TrainError::NoDev);
        }
        let mut random = fastrand::Rng::with_seed(job.settings.seed);
        let mut learned = Learned::new(job.shape, job.base, &mut random);
        if let Some(start) = job.start {
            take(start, &mut learned).map_err(TrainError::Start)?;
        }
        let count = learned.numbers.len();
        let fingerprint = fingerprint(job, &learned);
        let now = Instant::now();
        let mut session = Self {
            job,
            moments: Moments::new(count),
            best: learned.numbers.clone(),
            learned,
            state: State {
                fingerprint,
                step: 0,
                epoch: 0,
                batch: 0,
                tokens: 0,
                seconds: 0.0,
                start_loss: f64::INFINITY,
                best_loss: f64::INFINITY,
                since_best: 0,
                updates: 0,
            },
            dev: in_order(job),
            matrices: None,
            evaluated: 0,
            started: now,
            saved: now,
            _memory: Reserve::new(job.base.activation_bytes(job.settings.batch_tokens)),
        };
        match job.checkpoint {
            Some((path, _)) if job.resume => session.restore(path)?,
            _ => {
                let loss = session.dev_loss()?;
                (session.state.start_loss, session.state.best_loss) = (loss, loss);
            }
        }
        Ok(session)
    }

    fn restore(&mut self, path: &Path) -> Result<(), TrainError> {
        let (state, rows) = checkpoint::read(path, &self.state.fingerprint, self.learned.numbers.len())?;
        self.learned.numbers = rows.numbers;
        self.moments = Moments { first: rows.first, second: rows.second, steps: state.updates };
        self.best = rows.best;
        self.state = state;
        Ok(())
    }

    fn seconds(&self) -> f64 {
        self.state.seconds + self.started.elapsed().as_secs_f64()
    }

    /// How much of the training is done, 0 to 1: by updates, or by time where that runs out sooner.
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "a share")]
    fn progress(&self) -> f32 {
        let by_steps = self.state.step as f64 / self.job.settings.steps.max(1) as f64;
        let by_time = self.job.settings.time_limit.map_or(0.0, |limit| self.seconds() / limit.as_secs_f64());
        by_steps.max(by_time) as f32
    }

    fn run(mut self, on_event: &mut dyn FnMut(Event) -> ControlFlow<()>) -> Result<Outcome, TrainError> {
        let settings = self.job.settings;
        let mut batches = epoch(self.job.groups, settings, self.state.epoch);
        loop {
            if self.state.step >= settings.steps {
                return Ok(self.end(End::Steps));
            }
            if settings.time_limit.is_some_and(|limit| self.seconds() >= limit.as_secs_f64()) {
                self.evaluate(on_event)?;
                return Ok(self.end(End::TimeLimit));
            }
            while self.state.batch >= batches.len() {
                self.state.epoch += 1;
                self.state.batch = 0;
                batches = epoch(self.job.groups, settings, self.state.epoch);
            }
            let before = self.progress();
            let event = self.update(&batches[self.state.batch])?;
            let go_on = on_event(event);
            if crossed(before, self.progress(), settings.evaluations) || self.state.step >= settings.steps {
                self.evaluate(on_event)?;
                if settings.patience > 0 && self.state.since_best >= settings.patience {
                    return Ok(self.end(End::EarlyStop));
                }
            }
            self.save(go_on.is_break(), on_event)?;
            if go_on.is_break() {
                return Ok(self.end(End::Cancelled));
            }
        }
    }

    fn update(&mut self, (group, batch): &Grouped) -> Result<Event, TrainError> {
        let started = Instant::now();
        let progress = self.progress();
        let merged = self.job.groups[*group].merged.as_ref();
        let matrices = self.learned.fuse(self.job.base, merged, self.matrices.take())?;
        let mut gradients = vec![0.0; self.learned.numbers.len()];
        let learned = &self.learned;
        let sum = Pass::new(self.job.base, &matrices, batch)
            .gradients(&mut |place| learned.accumulate(&place, &mut gradients))?;
        self.matrices = Some(matrices);
        let optimizer = &self.job.settings.optimizer;
        let learning_rate = optimizer.learning_rate(self.state.step, progress);
        let norm = self.moments.update(&mut self.learned.numbers, &gradients, optimizer, learning_rate);
        #[expect(clippy::cast_precision_loss, reason = "batches are small")]
        let (loss, tokens) = (sum / batch.targets.len() as f64, batch.ids.len() as f64);
        if !loss.is_finite() || !norm.is_finite() {
            return Err(self.not_finite());
        }
        self.state.step += 1;
        self.state.batch += 1;
        self.state.tokens += batch.ids.len() as u64;
        Ok(Event::Step {
            step: self.state.step,
            epoch: self.state.epoch,
            loss,
            norm,
            learning_rate,
            tokens: self.state.tokens,
            tokens_per_second: tokens / started.elapsed().as_secs_f64(),
            progress: self.progress(),
            seconds: self.seconds(),
        })
    }

    fn not_finite(&self) -> TrainError {
        let better = self.state.best_loss < self.state.start_loss;
        let best = better.then(|| Box::new(self.end(End::Cancelled)));
        TrainError::NotFinite { step: self.state.step, best }
    }

    fn dev_loss(&mut self) -> Result<f64, TrainError> {
        let (mut sum, mut count) = (0.0, 0);
        for batches in self.dev.chunk_by(|one, other| one.0 == other.0) {
            let merged = batches.first().and_then(|(group, _)| self.job.groups[*group].merged.as_ref());
            let matrices = self.learned.fuse(self.job.base, merged, self.matrices.take())?;
            for (_, batch) in batches {
                sum += Pass::new(self.job.base, &matrices, batch).loss()?;
                count += batch.targets.len();
            }
            self.matrices = Some(matrices);
        }
        #[expect(clippy::cast_precision_loss, reason = "counts are small")]
        Ok(sum / count.max(1) as f64)
    }

    fn evaluate(&mut self, on_event: &mut dyn FnMut(Event) -> ControlFlow<()>) -> Result<(), TrainError> {
        if self.evaluated == self.state.step {
            return Ok(());
        }
        self.evaluated = self.state.step;
        let dev_loss = self.dev_loss()?;
        let best = dev_loss < self.state.best_loss;
        if best {
            self.state.best_loss = dev_loss;
            self.best.clone_from(&self.learned.numbers);
            self.state.since_best = 0;
        } else {
            self.state.since_best += 1;
        }
        // A training that is broken off here is broken off at its next step.
        let _ = on_event(Event::Evaluation { step: self.state.step, dev_loss, best });
        Ok(())
    }

    fn save(&mut self, now: bool, on_event: &mut dyn FnMut(Event) -> ControlFlow<()>) -> Result<(), TrainError> {
        let Some((path, every)) = self.job.checkpoint else {
            return Ok(());
        };
        if !now && self.saved.elapsed() < every {
            return Ok(());
        }
        self.saved = Instant::now();
        let state = State { seconds: self.seconds(), updates: self.moments.steps, ..self.state.clone() };
        let rows = Rows {
            numbers: self.learned.numbers.clone(),
            first: self.moments.first.clone(),
            second: self.moments.second.clone(),
            best: self.best.clone(),
        };
        let failed = |source| TrainError::Write { path: path.to_path_buf(), source };
        checkpoint::write(path, &state, &rows).map_err(failed)?;
        let _ = on_event(Event::Checkpoint { step: self.state.step });
        Ok(())
    }

    fn end(&self, end: End) -> Outcome {
        let mut learned = self.learned.clone();
        learned.numbers.clone_from(&self.best);
        Outcome {
            learned,
            end,
            start_loss: self.state.start_loss,
            best_loss: self.state.best_loss,
            steps: self.state.step,
            tokens: self.state.tokens,
            seconds: self.seconds(),
        }
    }
}

/// Memory that the process keeps for the activations of every step.
///
/// glibc gives the free top of its heap back to the system, so that each step would take its activations anew, page by page.
/// A block that lies above them keeps them; pages that are never touched, as its own, are never taken. Other allocators are
/// not hurt.
struct Reserve {
    _above: Vec<u8>,
}

impl Reserve {
    /// Blocks that glibc takes from its heap once one of them was freed; larger ones it always maps anew.
    const BLOCK: usize = 31 << 20;

    fn new(bytes: usize) -> Self {
        let block = || std::hint::black_box(Vec::<u8>::with_capacity(Self::BLOCK));
        drop(block());
        let below: Vec<Vec<u8>> = std::iter::repeat_with(block).take(bytes.div_ceil(Self::BLOCK)).collect();
        let above = block();
        drop(below);
        Self { _above: above }
    }
}

/// Whether one of `times` evenly spread marks lies between two shares.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "shares")]
fn crossed(before: f32, after: f32, times: u64) -> bool {
    let mark = |share: f32| (share * times as f32) as u64;
    mark(before) < mark(after)
}

/// What decides a training's course, digested: numbers at the start, examples, settings.
fn fingerprint(job: &Job<'_>, learned: &Learned) -> String {
    let mut bytes = format!("{:?} {:?}", job.shape, Settings { time_limit: None, ..job.settings.clone() }).into_bytes();
    for group in job.groups {
        bytes.extend(format!("{:?} {:?}", group.examples, group.dev).as_bytes());
        let pairs = group.merged.iter().flat_map(|adapter| adapter.pairs.values());
        let numbers = pairs.flat_map(|pair| pair.a.data().iter().chain(pair.b.data()));
        bytes.extend(numbers.flat_map(|number| number.to_le_bytes()));
    }
    bytes.extend(learned.numbers.iter().flat_map(|number| number.to_le_bytes()));
    Digest::of(&bytes).to_string()
}

/// Overwrites factors with what was learned before.
fn take(start: Start<'_>, learned: &mut Learned) -> Result<(), String> {
    let mut set = |name: &str, numbers: &Matrix| match learned.set(name, numbers) {
        true => Ok(()),
        false => Err(format!("has a larger rank or another shape at `{name}`")),
    };
    match start {
        Start::Adapter(adapter) => adapter.pairs.iter().try_for_each(|(target, pair)| {
            let weight = target.strip_suffix(".weight").unwrap_or(target);
            set(&format!("{weight}.a"), &pair.a)?;
            set(&format!("{weight}.b"), &pair.b)
        }),
        Start::Corrections(corrections) => corrections.iter().try_for_each(|(module, correction)| match correction {
            Correction::Vector(p) => set(&format!("{module}.b"), &Matrix::column(p.clone())),
            Correction::LowRank { p1, p2 } => {
                set(&format!("{module}.a"), p1)?;
                set(&format!("{module}.b"), p2)
            }
        }),
    }
}
