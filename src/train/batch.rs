//! Examples as tokens, and batches of them.
//!
//! A batch is filled up to a number of tokens with whole examples, one behind the other and without padding, so lengths
//! need no buckets: no token is computed for nothing.

use super::pass::Batch;

/// An example as tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// The rendered prompt.
    pub prompt: Vec<u32>,
    /// The answer, with the token that ends it: what loss is taken on.
    pub output: Vec<u32>,
    /// How often it comes in an epoch.
    pub weight: ExampleWeight,
}

/// A weight in thousandths, so that examples can be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExampleWeight(pub u32);

impl Example {
    /// Tokens that a pass computes: all but the last of the output.
    #[must_use]
    pub fn len(&self) -> usize {
        (self.prompt.len() + self.output.len()).saturating_sub(1)
    }

    /// Whether there is nothing to learn from it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.prompt.is_empty() || self.output.is_empty()
    }
}

/// The batches of one epoch: the same for the same seed and epoch.
pub(super) fn epoch(examples: &[Example], budget: usize, seed: u64, epoch: u64) -> Vec<Batch> {
    let mut random = fastrand::Rng::with_seed(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ epoch);
    let mut order = Vec::new();
    for (index, example) in examples.iter().enumerate() {
        let ExampleWeight(weight) = example.weight;
        let extra = u32::from(random.u32(..1000) < weight % 1000);
        order.extend(std::iter::repeat_n(index, (weight / 1000 + extra) as usize));
    }
    random.shuffle(&mut order);
    in_order(order.into_iter().map(|index| &examples[index]), budget)
}

/// Batches of examples as they come.
pub(super) fn in_order<'a>(examples: impl IntoIterator<Item = &'a Example>, budget: usize) -> Vec<Batch> {
    let (mut batches, mut current) = (Vec::new(), Batch::default());
    for example in examples {
        if !current.ids.is_empty() && current.ids.len() + example.len() > budget {
            batches.push(std::mem::take(&mut current));
        }
        add(&mut current, example);
    }
    if !current.ids.is_empty() {
        batches.push(current);
    }
    batches
}

#[expect(clippy::cast_possible_truncation, reason = "batches are small")]
fn add(batch: &mut Batch, example: &Example) {
    let first = batch.ids.len() + example.prompt.len() - 1;
    batch.targets.extend(example.output.iter().enumerate().map(|(index, token)| ((first + index) as u32, *token)));
    batch.ids.extend(example.prompt.iter().chain(&example.output).take(example.len()));
    batch.lengths.push(example.len());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example(prompt: u32, output: u32, weight: u32) -> Example {
        let tokens = |count: u32| (0..count).collect();
        Example { prompt: tokens(prompt), output: tokens(output), weight: ExampleWeight(weight) }
    }

    #[test]
    fn targets_stand_one_before_their_tokens() {
        let batches = in_order(&[example(3, 2, 1000), example(1, 1, 1000)], 100);
        assert_eq!(batches.len(), 1);
        assert_eq!(batches[0].lengths, [4, 1]);
        assert_eq!(batches[0].ids, [0, 1, 2, 0, 0]);
        assert_eq!(batches[0].targets, [(2, 0), (3, 1), (4, 0)]);
    }

    #[test]
    fn an_epoch_keeps_weights_and_budget_and_can_be_repeated() {
        let examples: Vec<_> = (0..40).map(|index| example(5, 1 + index % 7, 1000 + 500 * (index % 2))).collect();
        let batches = epoch(&examples, 30, 7, 3);
        assert!(batches.iter().all(|batch| batch.ids.len() <= 30));
        assert_eq!(batches, epoch(&examples, 30, 7, 3));
        assert_ne!(batches, epoch(&examples, 30, 7, 4));
        let sequences: usize = batches.iter().map(|batch| batch.lengths.len()).sum();
        assert!((40..=60).contains(&sequences), "{sequences}");
    }
}
