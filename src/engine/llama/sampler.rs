//! Choosing the next token.
//!
//! The repetition penalty is applied here, to the few tokens that came out lately: llama.cpp's own sampler for it looks
//! every token of the vocabulary up in a table, which costs a twentieth of a small model's decode time. The greedy choice is
//! one look for the largest logit. A random choice goes through llama.cpp's samplers, in the order of its own tools.

use std::collections::VecDeque;

use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::sampling::LlamaSampler;
use llama_cpp_2::token::LlamaToken;

use crate::engine::Sampling;

/// Chooses tokens one after another.
pub(super) struct Sampler {
    penalty: f32,
    last_n: usize,
    /// The tokens that came out lately, the oldest first.
    recent: VecDeque<LlamaToken>,
    /// The random choice; `None` for greedy.
    random: Option<LlamaSampler>,
    /// The logits under way. Kept, because a fresh vector of a vocabulary's length is fresh pages from the system.
    logits: Vec<f32>,
}

impl Sampler {
    pub(super) fn new(sampling: &Sampling) -> Self {
        let random = (sampling.temperature > 0.0).then(|| {
            LlamaSampler::chain_simple([
                LlamaSampler::top_k(i32::try_from(sampling.top_k).unwrap_or(i32::MAX)),
                LlamaSampler::top_p(sampling.top_p, 1),
                LlamaSampler::min_p(sampling.min_p, 1),
                LlamaSampler::temp(sampling.temperature),
                LlamaSampler::dist(sampling.seed),
            ])
        });
        let last_n = usize::try_from(sampling.repeat_last_n).unwrap_or(usize::MAX);
        Self { penalty: sampling.repeat_penalty, last_n, recent: VecDeque::new(), random, logits: Vec::new() }
    }

    /// Chooses a token from the logits that the context computed last, and remembers it.
    pub(super) fn choose(&mut self, context: &LlamaContext<'_>) -> LlamaToken {
        let mut logits = std::mem::take(&mut self.logits);
        logits.clear();
        logits.extend_from_slice(context.get_logits_ith(-1));
        self.penalise(&mut logits);
        let token = match &mut self.random {
            None => largest(&logits),
            Some(random) => draw(random, context, &logits),
        };
        self.logits = logits;
        self.recent.push_back(token);
        if self.recent.len() > self.last_n {
            self.recent.pop_front();
        }
        token
    }

    /// Makes recent tokens less likely, each once: a positive logit is divided by the penalty, a negative one multiplied.
    fn penalise(&self, logits: &mut [f32]) {
        for (place, token) in self.recent.iter().enumerate() {
            let again = self.recent.iter().take(place).any(|earlier| earlier == token);
            let logit = usize::try_from(token.0).ok().and_then(|index| logits.get_mut(index));
            if let Some(logit) = logit.filter(|_| !again) {
                *logit = if *logit > 0.0 { *logit / self.penalty } else { *logit * self.penalty };
            }
        }
    }
}

fn draw(random: &mut LlamaSampler, context: &LlamaContext<'_>, logits: &[f32]) -> LlamaToken {
    let mut candidates = context.token_data_array_ith(-1);
    for (candidate, logit) in candidates.data.iter_mut().zip(logits) {
        candidate.set_logit(*logit);
    }
    candidates.apply_sampler(random);
    candidates.selected_token().unwrap_or_else(|| largest(logits))
}

/// How many logits are compared at a time: enough lanes for vector instructions.
const LANES: usize = 64;

/// The first of the largest logits.
fn largest(logits: &[f32]) -> LlamaToken {
    let block_max = |block: &[f32]| block.iter().fold(f32::NEG_INFINITY, |max, logit| max.max(*logit));
    let (mut best, mut start) = (f32::NEG_INFINITY, 0);
    for (index, block) in logits.chunks(LANES).enumerate() {
        let max = block_max(block);
        if max > best {
            (best, start) = (max, index * LANES);
        }
    }
    let inside = logits[start..].iter().position(|logit| *logit >= best).unwrap_or(0);
    LlamaToken(i32::try_from(start + inside).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampler(penalty: f32, last_n: u32) -> Sampler {
        Sampler::new(&Sampling {
            temperature: 0.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            seed: 0,
            repeat_penalty: penalty,
            repeat_last_n: last_n,
        })
    }

    #[test]
    fn the_first_of_the_largest_is_taken() {
        let mut logits = vec![0.0; 200];
        logits[130] = 2.0;
        logits[131] = 2.0;
        assert_eq!(largest(&logits), LlamaToken(130));
        assert_eq!(largest(&[-1.0]), LlamaToken(0));
        assert_eq!(largest(&[f32::NAN, 1.0]), LlamaToken(1));
        assert_eq!(largest(&[f32::NAN]), LlamaToken(0));
    }

    #[test]
    fn recent_tokens_are_penalised_once() {
        let mut sampler = sampler(2.0, 3);
        sampler.recent = [0, 0, 1].map(LlamaToken).into();
        let mut logits = [4.0, -4.0, 4.0];
        sampler.penalise(&mut logits);
        assert_eq!(logits.map(f32::to_bits), [2.0f32, -8.0, 4.0].map(f32::to_bits));
    }
}
