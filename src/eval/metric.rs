//! What outputs are measured by. Each definition is that of the Python package it is tested against.

pub mod bleu;
pub mod chrf;
pub mod language;
pub mod repetition;
pub mod rouge;

use std::collections::HashMap;
use std::hash::Hash;

/// How often each run of `order` neighbours comes.
fn ngrams<T: Hash + Eq>(tokens: &[T], order: usize) -> HashMap<&[T], usize> {
    let mut counts = HashMap::new();
    for gram in tokens.windows(order) {
        *counts.entry(gram).or_insert(0) += 1;
    }
    counts
}

/// How many n-grams two texts share, each counted as often as it comes in both.
fn shared<T: Hash + Eq>(one: &HashMap<&[T], usize>, other: &HashMap<&[T], usize>) -> usize {
    one.iter().map(|(gram, count)| *count.min(other.get(gram).unwrap_or(&0))).sum()
}

#[expect(clippy::cast_precision_loss, reason = "counts are small")]
fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}
