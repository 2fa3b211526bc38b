//! BLEU (Papineni et al., 2002) over a corpus, after `sacrebleu`: 13a tokens, orders 1 to 4, exponential smoothing.

use std::sync::OnceLock;

use regex_lite::Regex;

use super::{ngrams, shared};

const ORDERS: usize = 4;

/// The counts that BLEU of a corpus is made of; those of several texts add up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bleu {
    matches: [usize; ORDERS],
    totals: [usize; ORDERS],
    output: usize,
    reference: usize,
}

impl Bleu {
    /// Counts one output against its reference.
    #[must_use]
    pub fn of(output: &str, reference: &str) -> Self {
        let (output, reference) = (tokens(output), tokens(reference));
        let mut counts = Self { output: output.len(), reference: reference.len(), ..Self::default() };
        for order in 1..=ORDERS {
            let out = ngrams(&output, order);
            counts.totals[order - 1] = out.values().sum();
            counts.matches[order - 1] = shared(&out, &ngrams(&reference, order));
        }
        counts
    }

    /// Adds another text's counts.
    #[must_use]
    pub fn plus(mut self, other: &Self) -> Self {
        for order in 0..ORDERS {
            self.matches[order] += other.matches[order];
            self.totals[order] += other.totals[order];
        }
        self.output += other.output;
        self.reference += other.reference;
        self
    }

    /// The score, 0 to 100.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts are small")]
    pub fn score(&self) -> f64 {
        if self.matches.iter().all(|count| *count == 0) || self.totals.contains(&0) {
            return 0.0;
        }
        let mut smooth = 1.0;
        let mut logarithms = 0.0;
        for (matches, total) in self.matches.iter().zip(self.totals) {
            let precision = if *matches == 0 {
                smooth *= 2.0;
                1.0 / (smooth * total as f64)
            } else {
                *matches as f64 / total as f64
            };
            logarithms += precision.ln();
        }
        let shortness =
            if self.output < self.reference { 1.0 - self.reference as f64 / self.output as f64 } else { 0.0 };
        100.0 * (shortness + logarithms / ORDERS as f64).exp()
    }
}

/// mteval-v13a's tokens.
fn tokens(text: &str) -> Vec<String> {
    static RULES: OnceLock<Vec<(Regex, &str)>> = OnceLock::new();
    let rules = RULES.get_or_init(|| {
        let rules = [
            (r"([\{-\~\[-\` -\&\(-\+\:-@/])", " $1 "),
            (r"([^0-9])([\.,])", "$1 $2 "),
            (r"([\.,])([^0-9])", " $1 $2"),
            (r"([0-9])(-)", "$1 $2 "),
        ];
        rules.into_iter().filter_map(|(rule, by)| Some((Regex::new(rule).ok()?, by))).collect()
    });
    let mut line = text.trim().replace("<skipped>", "").replace("-\n", "").replace('\n', " ");
    for (entity, character) in [("&quot;", "\""), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">")] {
        line = line.replace(entity, character);
    }
    line = format!(" {line} ");
    for (rule, by) in rules {
        line = rule.replace_all(&line, *by).into_owned();
    }
    line.split_whitespace().map(str::to_owned).collect()
}
