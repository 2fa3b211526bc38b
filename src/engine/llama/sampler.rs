//! From [`Sampling`] to a chain of llama.cpp's samplers, in the order of llama.cpp's own tools.

use llama_cpp_2::sampling::LlamaSampler;

use crate::engine::Sampling;

/// Builds the chain: repetition penalty, then greedy, or top-k, top-p, min-p, temperature and a seeded draw.
pub(super) fn chain(sampling: &Sampling, vocabulary: i32) -> LlamaSampler {
    let mut samplers = Vec::new();
    let last_n = i32::try_from(sampling.repeat_last_n).unwrap_or(i32::MAX);
    let penalises = (sampling.repeat_penalty - 1.0).abs() > f32::EPSILON;
    if penalises && last_n > 0 {
        samplers.push(LlamaSampler::penalties(vocabulary, last_n, sampling.repeat_penalty, 0.0, 0.0));
    }
    if sampling.temperature <= 0.0 {
        samplers.push(LlamaSampler::greedy());
    } else {
        samplers.extend([
            LlamaSampler::top_k(i32::try_from(sampling.top_k).unwrap_or(i32::MAX)),
            LlamaSampler::top_p(sampling.top_p, 1),
            LlamaSampler::min_p(sampling.min_p, 1),
            LlamaSampler::temp(sampling.temperature),
            LlamaSampler::dist(sampling.seed),
        ]);
    }
    LlamaSampler::chain_simple(samplers)
}
