//! AdamW (Loshchilov & Hutter, 2019) over one row of numbers, with a warm-up and a cosine decay of the learning rate.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

const BETA1: f32 = 0.9;
const BETA2: f32 = 0.999;
const EPSILON: f32 = 1e-8;

/// Numbers that one thread updates at a time.
const CHUNK: usize = 1 << 14;

/// What decides an update's size.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Optimizer {
    /// The highest learning rate.
    pub learning_rate: f32,
    /// Steps until it is reached.
    pub warmup: u64,
    /// The share of its learning rate by which each number shrinks in a step.
    pub weight_decay: f32,
    /// The longest gradient (Euclidean norm) that is taken as it is; longer ones are shortened to it.
    pub clip: f32,
}

impl Optimizer {
    /// The learning rate of a step (from zero) when `progress`, 0 to 1, of the training is done: it ends at 2 %.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "steps are below 2^24")]
    pub fn learning_rate(&self, step: u64, progress: f32) -> f32 {
        let warm = ((step + 1) as f32 / (self.warmup.max(1)) as f32).min(1.0);
        let cosine = 0.5 * (1.0 + (std::f32::consts::PI * progress.clamp(0.0, 1.0)).cos());
        self.learning_rate * warm * (0.02 + 0.98 * cosine)
    }
}

/// Running means of gradients and of their squares.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Moments {
    pub(super) first: Vec<f32>,
    pub(super) second: Vec<f32>,
    /// Updates so far.
    pub(super) steps: i32,
}

impl Moments {
    pub(super) fn new(count: usize) -> Self {
        Self { first: vec![0.0; count], second: vec![0.0; count], steps: 0 }
    }

    /// Updates `numbers` from their gradients; gives the gradients' norm before clipping.
    pub(super) fn update(
        &mut self,
        numbers: &mut [f32],
        gradients: &[f32],
        optimizer: &Optimizer,
        learning_rate: f32,
    ) -> f32 {
        let norm = norm(gradients);
        if !norm.is_finite() {
            return norm;
        }
        self.steps += 1;
        let shorten = if norm > optimizer.clip { optimizer.clip / norm } else { 1.0 };
        let (correct1, correct2) = (1.0 - BETA1.powi(self.steps), 1.0 - BETA2.powi(self.steps));
        let decay = 1.0 - learning_rate * optimizer.weight_decay;
        let moments = self.first.par_chunks_mut(CHUNK).zip(self.second.par_chunks_mut(CHUNK));
        numbers.par_chunks_mut(CHUNK).zip(gradients.par_chunks(CHUNK)).zip(moments).for_each(
            |((numbers, gradients), (first, second))| {
                for (((number, gradient), first), second) in numbers.iter_mut().zip(gradients).zip(first).zip(second) {
                    let gradient = gradient * shorten;
                    *first += (1.0 - BETA1) * (gradient - *first);
                    *second += (1.0 - BETA2) * (gradient * gradient - *second);
                    let step = (*first / correct1) / ((*second / correct2).sqrt() + EPSILON);
                    *number = *number * decay - learning_rate * step;
                }
            },
        );
        norm
    }
}

/// The Euclidean norm, summed chunk by chunk in a fixed order: the same on every run.
fn norm(numbers: &[f32]) -> f32 {
    let sums: Vec<f64> = numbers
        .par_chunks(CHUNK)
        .map(|chunk| chunk.iter().map(|number| f64::from(*number) * f64::from(*number)).sum())
        .collect();
    #[expect(clippy::cast_possible_truncation, reason = "f32 is what is computed with")]
    let norm = sums.iter().sum::<f64>().sqrt() as f32;
    norm
}
