//! ROUGE (Lin, 2004) as F-measures, after Google's `rouge-score` without stemming.

use super::{ngrams, ratio, shared};

/// F-measures of one output against its reference, 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Rouge {
    /// Single words.
    pub one: f64,
    /// Pairs of neighbours.
    pub two: f64,
    /// Runs of three.
    pub three: f64,
    /// The longest common subsequence.
    pub longest: f64,
}

impl Rouge {
    /// Compares an output with its reference.
    #[must_use]
    pub fn of(output: &str, reference: &str) -> Self {
        let (output, reference) = (words(output), words(reference));
        let order = |order| {
            let (out, wanted) = (ngrams(&output, order), ngrams(&reference, order));
            f_measure(shared(&out, &wanted), out.values().sum(), wanted.values().sum())
        };
        let common = common_subsequence(&output, &reference);
        Self {
            one: order(1),
            two: order(2),
            three: order(3),
            longest: f_measure(common, output.len(), reference.len()),
        }
    }

    /// ROUGE-1/6 + ROUGE-2/3 + ROUGE-3/2, the weighted ROUGE of reply suggestions (Zhang et al., 2021).
    #[must_use]
    pub fn weighted(&self) -> f64 {
        self.one / 6.0 + self.two / 3.0 + self.three / 2.0
    }
}

fn f_measure(matches: usize, out: usize, wanted: usize) -> f64 {
    let (precision, recall) = (ratio(matches, out), ratio(matches, wanted));
    if precision + recall > 0.0 { 2.0 * precision * recall / (precision + recall) } else { 0.0 }
}

/// Runs of a-z and 0-9 in lower case; every other character, letters with accents too, parts them.
fn words(text: &str) -> Vec<String> {
    let lower = text.to_lowercase();
    let parts = lower.split(|c: char| !c.is_ascii_lowercase() && !c.is_ascii_digit());
    parts.filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

fn common_subsequence(one: &[String], other: &[String]) -> usize {
    let mut row = vec![0; other.len() + 1];
    for left in one {
        let mut diagonal = 0;
        for (at, right) in other.iter().enumerate() {
            let above = row[at + 1];
            row[at + 1] = if left == right { diagonal + 1 } else { above.max(row[at]) };
            diagonal = above;
        }
    }
    row[other.len()]
}
