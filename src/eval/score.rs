//! From outputs and references to figures.

use std::path::Path;

use serde::Serialize;

use crate::adapter;
use crate::calibration;
use crate::data::Pair;

use super::metric::bleu::Bleu;
use super::metric::chrf::Chrf;
use super::metric::language::is_in;
use super::metric::repetition::repetition;
use super::metric::rouge::Rouge;
use super::outputs::Output;

/// How often outputs are drawn anew for a confidence interval.
const RESAMPLES: usize = 1000;

/// Where the mean of such outputs lies in 95 of 100 draws (bootstrap).
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Interval {
    /// 2.5 % of the draws lie below.
    pub low: f64,
    /// 2.5 % lie above.
    pub high: f64,
}

/// A method's figures on one combination. Scores are 0 to 100; tokens, passes and seconds are means over examples.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Scores {
    /// How many examples.
    pub examples: usize,
    /// ROUGE-1.
    pub rouge_1: f64,
    /// ROUGE-2.
    pub rouge_2: f64,
    /// ROUGE-L.
    pub rouge_l: f64,
    /// Of ROUGE-L.
    pub rouge_l_interval: Interval,
    /// ROUGE-1/6 + ROUGE-2/3 + ROUGE-3/2.
    pub weighted_rouge: f64,
    /// Of the weighted ROUGE.
    pub weighted_rouge_interval: Interval,
    /// chrF++.
    pub chrf: f64,
    /// BLEU.
    pub bleu: f64,
    /// The share of outputs in the language asked for, where it can be told.
    pub in_language: Option<f64>,
    /// Words put out for each word of the references.
    pub length_ratio: f64,
    /// The share of runs of four words that came before in the same output.
    pub repetition: f64,
    /// Passes through the model.
    pub passes: f64,
    /// Tokens of prompts.
    pub prompt_tokens: f64,
    /// Tokens put out.
    pub output_tokens: f64,
    /// Prefill and decode.
    pub seconds: f64,
    /// Tokens put out in a second of decoding.
    pub tokens_per_second: f64,
    /// Numbers stored for this combination beside the tasks' adapters.
    pub extra_parameters: usize,
    /// Bytes of the file they are stored in.
    pub extra_bytes: u64,
}

impl Scores {
    pub(super) fn of(outputs: &[Output], pairs: &[Pair], language: &str, stored: Option<&Path>) -> Self {
        let each = || outputs.iter().zip(pairs).map(|(output, pair)| (output.text.as_str(), pair.output.as_str()));
        let rouge: Vec<Rouge> = each().map(|(output, reference)| Rouge::of(output, reference)).collect();
        let percent = |get: fn(&Rouge) -> f64| rouge.iter().map(|one| 100.0 * get(one)).collect::<Vec<f64>>();
        let (longest, weighted) = (percent(|one| one.longest), percent(Rouge::weighted));
        let told: Vec<bool> = each().filter_map(|(output, _)| is_in(output, language)).collect();
        let words = |text: &str| text.split_whitespace().count();
        let output_words: usize = each().map(|(output, _)| words(output)).sum();
        let reference_words: usize = each().map(|(_, reference)| words(reference)).sum();
        let sum = |get: fn(&Output) -> f64| outputs.iter().map(get).sum::<f64>();
        let average = |get: fn(&Output) -> f64| sum(get) / count(outputs.len());
        let (extra_parameters, extra_bytes) = stored.map_or((0, 0), size);
        Self {
            examples: outputs.len(),
            rouge_1: mean(&percent(|one| one.one)),
            rouge_2: mean(&percent(|one| one.two)),
            rouge_l: mean(&longest),
            rouge_l_interval: interval(&longest),
            weighted_rouge: mean(&weighted),
            weighted_rouge_interval: interval(&weighted),
            chrf: each()
                .map(|(output, reference)| Chrf::of(output, reference))
                .fold(Chrf::default(), |a, b| a.plus(&b))
                .score(),
            bleu: each()
                .map(|(output, reference)| Bleu::of(output, reference))
                .fold(Bleu::default(), |a, b| a.plus(&b))
                .score(),
            in_language: (!told.is_empty())
                .then(|| 100.0 * count(told.iter().filter(|yes| **yes).count()) / count(told.len())),
            length_ratio: count(output_words) / count(reference_words),
            repetition: 100.0 * each().map(|(output, _)| repetition(output)).sum::<f64>() / count(outputs.len()),
            passes: average(|output| count(output.passes)),
            prompt_tokens: average(|output| count(output.prompt_tokens)),
            output_tokens: average(|output| count(output.output_tokens)),
            seconds: average(|output| output.prefill_seconds + output.decode_seconds),
            tokens_per_second: sum(|output| count(output.output_tokens))
                / sum(|output| output.decode_seconds).max(1e-9),
            extra_parameters,
            extra_bytes,
        }
    }
}

/// Numbers and bytes of a calibration's or an adapter's file.
fn size(path: &Path) -> (usize, u64) {
    let bytes = path.metadata().map_or(0, |about| about.len());
    let learned = calibration::read(path).map(|calibration| calibration.parameters());
    let parameters = learned.or_else(|_| adapter::read(path).map(|adapter| adapter.parameters())).unwrap_or(0);
    (parameters, bytes)
}

#[expect(clippy::cast_precision_loss, reason = "counts are small")]
fn count(number: usize) -> f64 {
    number as f64
}

fn mean(numbers: &[f64]) -> f64 {
    numbers.iter().sum::<f64>() / count(numbers.len().max(1))
}

/// A bootstrap interval of the mean, the same each time.
fn interval(numbers: &[f64]) -> Interval {
    if numbers.is_empty() {
        return Interval { low: 0.0, high: 0.0 };
    }
    let mut random = fastrand::Rng::with_seed(1);
    let mut draw = || {
        let sum: f64 = (0..numbers.len()).map(|_| numbers[random.usize(..numbers.len())]).sum();
        sum / count(numbers.len())
    };
    let mut means: Vec<f64> = (0..RESAMPLES).map(|_| draw()).collect();
    means.sort_by(f64::total_cmp);
    Interval { low: means[RESAMPLES / 40], high: means[RESAMPLES - 1 - RESAMPLES / 40] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_hold_the_mean_and_shrink_with_more_examples() {
        let numbers = |count: u32| (0..count).map(|at| f64::from(at % 10)).collect::<Vec<_>>();
        let (few, many) = (interval(&numbers(20)), interval(&numbers(2000)));
        assert!(few.low < 4.5 && 4.5 < few.high);
        assert!(many.high - many.low < (few.high - few.low) / 5.0);
    }
}
