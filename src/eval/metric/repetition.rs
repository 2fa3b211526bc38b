//! How much an output repeats itself.

use super::{ngrams, ratio};

/// The share of an output's runs of four words that came before in it, 0 to 1.
#[must_use]
pub fn repetition(text: &str) -> f64 {
    let words: Vec<&str> = text.split_whitespace().collect();
    let grams = ngrams(&words, 4);
    let all: usize = grams.values().sum();
    ratio(all - grams.len(), all)
}

#[cfg(test)]
mod tests {
    use super::repetition;

    #[test]
    fn counts_runs_that_come_again() {
        assert!(repetition("a b c d e f g").abs() < 1e-9);
        assert!((repetition("a b c d a b c d") - 0.2).abs() < 1e-9);
        assert!(repetition("short").abs() < 1e-9);
    }
}
