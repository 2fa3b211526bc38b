//! What a run used and took, over all its passes.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{ComposedAdapter, Report};

/// What a run took before its passes.
#[derive(Debug, Clone, PartialEq)]
pub struct Setup {
    /// Loading the model.
    pub load: Duration,
    /// Composing the adapters.
    pub compose: Duration,
    /// The adapter of each pass.
    pub adapters: Vec<ComposedAdapter>,
}

/// A run's figures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Passes that were run.
    pub passes: usize,
    /// Tokens of all prompts.
    pub prompt: usize,
    /// Tokens put out by all passes.
    pub output: usize,
    /// The largest context, in tokens.
    pub context: u32,
    /// Loading the model; nothing where it was loaded already.
    pub load: Duration,
    /// Composing the adapters.
    pub compose: Duration,
    /// Computing the prompts.
    pub prefill: Duration,
    /// Putting tokens out.
    pub decode: Duration,
    /// From the first pass's start to the first token of the answer.
    pub first_token: Duration,
    /// Threads that decoded at the end.
    pub threads: usize,
}

impl Figures {
    /// Sums over the passes of a run.
    #[must_use]
    pub fn of(setup: &Setup, report: &Report) -> Self {
        let outcomes = || report.passes.iter().map(|pass| &pass.outcome);
        let before = report.passes.len().saturating_sub(1);
        let earlier: Duration = outcomes().take(before).map(|outcome| outcome.prefill + outcome.decode).sum();
        Self {
            passes: report.passes.len(),
            prompt: outcomes().map(|outcome| outcome.prompt_tokens).sum(),
            output: outcomes().map(|outcome| outcome.output_tokens).sum(),
            context: outcomes().map(|outcome| outcome.context).max().unwrap_or(0),
            load: setup.load,
            compose: setup.compose,
            prefill: outcomes().map(|outcome| outcome.prefill).sum(),
            decode: outcomes().map(|outcome| outcome.decode).sum(),
            first_token: earlier + outcomes().next_back().map_or(Duration::ZERO, |outcome| outcome.first_token),
            threads: outcomes().next_back().map_or(0, |outcome| outcome.threads),
        }
    }

    /// Prompt tokens a second.
    #[must_use]
    pub fn prefill_speed(&self) -> f64 {
        per_second(self.prompt, self.prefill)
    }

    /// Output tokens a second.
    #[must_use]
    pub fn decode_speed(&self) -> f64 {
        per_second(self.output, self.decode)
    }
}

/// Milliseconds with one digit behind the point.
#[must_use]
pub fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 10_000.0).round() / 10.0
}

/// Tokens a second with one digit behind the point.
#[expect(clippy::cast_precision_loss, reason = "token counts are small")]
fn per_second(tokens: usize, time: Duration) -> f64 {
    match time.is_zero() {
        true => 0.0,
        false => (tokens as f64 / time.as_secs_f64() * 10.0).round() / 10.0,
    }
}
