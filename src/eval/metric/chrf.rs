//! chrF++ (Popović, 2017) over a corpus, after `sacrebleu`: character orders 1 to 6, word orders 1 and 2, β = 2.

use super::{ngrams, ratio, shared};

const CHARACTERS: usize = 6;
const WORDS: usize = 2;
const ORDERS: usize = CHARACTERS + WORDS;
const BETA_SQUARED: f64 = 4.0;

/// What sacrebleu parts from words.
const PUNCTUATION: &str = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";

/// The counts that chrF++ of a corpus is made of; those of several texts add up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Chrf {
    output: [usize; ORDERS],
    reference: [usize; ORDERS],
    matches: [usize; ORDERS],
}

impl Chrf {
    /// Counts one output against its reference.
    #[must_use]
    pub fn of(output: &str, reference: &str) -> Self {
        let mut counts = Self::default();
        let (out, wanted) = (characters(output), characters(reference));
        for order in 1..=CHARACTERS {
            counts.count(order - 1, &out, &wanted, order);
        }
        let (out, wanted) = (words(output), words(reference));
        for order in 1..=WORDS {
            counts.count(CHARACTERS + order - 1, &out, &wanted, order);
        }
        counts
    }

    fn count<T: std::hash::Hash + Eq>(&mut self, at: usize, output: &[T], reference: &[T], order: usize) {
        let (out, wanted) = (ngrams(output, order), ngrams(reference, order));
        self.matches[at] = shared(&out, &wanted);
        self.reference[at] = wanted.values().sum();
        // An order that the reference does not reach is not counted against the output.
        self.output[at] = if self.reference[at] > 0 { out.values().sum() } else { 0 };
    }

    /// Adds another text's counts.
    #[must_use]
    pub fn plus(mut self, other: &Self) -> Self {
        for order in 0..ORDERS {
            self.output[order] += other.output[order];
            self.reference[order] += other.reference[order];
            self.matches[order] += other.matches[order];
        }
        self
    }

    /// The score, 0 to 100.
    #[must_use]
    pub fn score(&self) -> f64 {
        let (mut precision, mut recall, mut orders) = (0.0, 0.0, 0);
        for order in 0..ORDERS {
            if self.output[order] > 0 && self.reference[order] > 0 {
                precision += ratio(self.matches[order], self.output[order]);
                recall += ratio(self.matches[order], self.reference[order]);
                orders += 1;
            }
        }
        if orders == 0 || precision + recall == 0.0 {
            return 0.0;
        }
        let (precision, recall) = (precision / f64::from(orders), recall / f64::from(orders));
        100.0 * (1.0 + BETA_SQUARED) * precision * recall / (BETA_SQUARED * precision + recall)
    }
}

fn characters(text: &str) -> Vec<char> {
    text.chars().filter(|c| !c.is_whitespace()).collect()
}

/// Words with one punctuation mark at their end, else at their start, as a word of its own.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    for word in text.split_whitespace() {
        let (first, last) = (word.chars().next(), word.chars().last());
        let is_mark = |c: Option<char>| c.is_some_and(|c| PUNCTUATION.contains(c));
        if word.chars().count() == 1 {
            words.push(word.to_owned());
        } else if is_mark(last) {
            let (body, mark) = word.split_at(word.len() - 1);
            words.extend([body.to_owned(), mark.to_owned()]);
        } else if is_mark(first) {
            let (mark, body) = word.split_at(1);
            words.extend([mark.to_owned(), body.to_owned()]);
        } else {
            words.push(word.to_owned());
        }
    }
    words
}
