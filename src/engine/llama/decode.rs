//! One pass: prefill in pieces, then one token at a time.

use std::num::NonZeroU32;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use cpu_time::ProcessTime;
use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::context::params::{KvCacheType, LlamaContextParams};
use llama_cpp_2::context::session::LlamaStateSeqFlags;
use llama_cpp_2::llama_backend::LlamaBackend;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::model::{LlamaLoraAdapter, LlamaModel};
use llama_cpp_2::token::LlamaToken;

use crate::engine::{EngineError, Outcome, Pieces, Request, Step, Stop};

use super::sampler::Sampler;
use super::threads::Threads;

/// Tokens in one decode call of prefill. A caller who breaks off waits for one, half a second on two cores. Always as many,
/// because sums come out a little different in other pieces, and the same request is to give the same answer.
const PIECE: usize = 128;

/// The same where a GPU computes, for which pieces cannot be too large.
const GPU_PIECE: usize = 512;

/// The most tokens whose logits are given.
const MOST_LOGITS: usize = 512;

/// `LLAMA_FLASH_ATTN_TYPE_DISABLED`, which llama-cpp-2 does not name. On a CPU, flash attention's sums depend on the number of
/// threads, so that an answer would depend on the machine's load; and behind 3,500 tokens it decodes a third slower.
const FLASH_ATTENTION_OFF: i32 = 0;

/// Contexts are made in multiples of this many tokens.
const CONTEXT_STEP: usize = 256;

/// A request under way: how its context is made, and what was measured so far.
pub(super) struct Pass<'a> {
    backend: &'a LlamaBackend,
    model: &'a LlamaModel,
    adapter: Option<&'a mut LlamaLoraAdapter>,
    context_length: usize,
    /// Tokens in one call of prefill.
    piece: usize,
    request: &'a Request,
    prompt: &'a [LlamaToken],
    threads: &'a mut Threads,
    /// How many the context was made for.
    made_for: usize,
    started: Instant,
}

impl<'a> Pass<'a> {
    /// Sizes a context for the request, no longer than it needs.
    pub(super) fn new(
        backend: &'a LlamaBackend,
        model: &'a LlamaModel,
        adapter: Option<&'a mut LlamaLoraAdapter>,
        threads: &'a mut Threads,
        request: &'a Request,
        prompt: &'a [LlamaToken],
    ) -> Result<Self, EngineError> {
        let started = Instant::now();
        let context_length = context_length(model, request, prompt.len())?;
        threads.begin();
        let made_for = threads.count();
        let piece = if backend.supports_gpu_offload() { GPU_PIECE } else { PIECE };
        Ok(Self { backend, model, adapter, context_length, piece, request, prompt, threads, made_for, started })
    }

    /// Prefills and decodes.
    pub(super) fn run(mut self, on_step: &mut dyn FnMut(Step<'_>) -> ControlFlow<()>) -> Result<Outcome, EngineError> {
        let context = self.make_context()?;
        let made = self.started.elapsed();
        let context = self.prefill(context, on_step)?;
        let reached = self.started.elapsed();
        let mut outcome = Outcome {
            stop: Stop::Cancelled,
            prompt_tokens: self.prompt.len(),
            output_tokens: 0,
            context: u32::try_from(self.context_length).unwrap_or(u32::MAX),
            prefill: reached.saturating_sub(made),
            decode: Duration::ZERO,
            first_token: reached,
            threads: self.made_for,
        };
        if let Some(context) = context {
            self.decode(context, &mut outcome, on_step)?;
            outcome.decode = self.started.elapsed().saturating_sub(reached);
            outcome.threads = self.made_for;
        }
        Ok(outcome)
    }

    /// Computes the prompt; `None` where `on_step` broke off.
    fn prefill(
        &mut self,
        mut context: LlamaContext<'a>,
        on_step: &mut dyn FnMut(Step<'_>) -> ControlFlow<()>,
    ) -> Result<Option<LlamaContext<'a>>, EngineError> {
        let total = self.prompt.len();
        let mut batch = LlamaBatch::new(self.piece, 1);
        let mut done = 0;
        while done < total {
            if on_step(Step::Prefill { done, total }).is_break() {
                return Ok(None);
            }
            context = self.fit_threads(context)?;
            let tokens = &self.prompt[done..(done + self.piece).min(total)];
            fill(&mut batch, tokens, done, done + tokens.len() == total)?;
            self.compute(&mut context, &mut batch)?;
            done += tokens.len();
        }
        Ok(on_step(Step::Prefill { done, total }).is_continue().then_some(context))
    }

    fn decode(
        &mut self,
        mut context: LlamaContext<'a>,
        outcome: &mut Outcome,
        on_step: &mut dyn FnMut(Step<'_>) -> ControlFlow<()>,
    ) -> Result<(), EngineError> {
        let mut sampler = Sampler::new(&self.request.sampling);
        let vocab = self.model.vocab();
        let mut pieces = Pieces::default();
        let mut batch = LlamaBatch::new(1, 1);
        let mut bytes = Vec::new();
        for position in self.prompt.len().. {
            if outcome.output_tokens >= self.request.max_tokens as usize {
                outcome.stop = Stop::MaxTokens;
                break;
            }
            let token = sampler.choose(&context);
            if vocab.is_eog(token) {
                outcome.stop = Stop::EndOfGeneration;
                break;
            }
            bytes.clear();
            vocab.token_to_piece_into(token, &mut bytes, false, None);
            outcome.output_tokens += 1;
            if outcome.output_tokens == 1 {
                outcome.first_token = self.started.elapsed();
            }
            if on_step(Step::Token(&pieces.push(&bytes))).is_break() {
                return Ok(());
            }
            if position >= self.context_length {
                outcome.stop = Stop::ContextFull;
                break;
            }
            if outcome.output_tokens >= self.request.max_tokens as usize {
                continue; // Nothing comes after the last token, so its logits need not be computed.
            }
            context = self.fit_threads(context)?;
            fill(&mut batch, &[token], position, true)?;
            self.compute(&mut context, &mut batch)?;
        }
        let rest = pieces.finish();
        if !rest.is_empty() && on_step(Step::Token(&rest)).is_break() {
            outcome.stop = Stop::Cancelled;
        }
        Ok(())
    }

    /// Runs the model over a batch.
    fn compute(&mut self, context: &mut LlamaContext<'a>, batch: &mut LlamaBatch<'_>) -> Result<(), EngineError> {
        let (cpu, wall) = (ProcessTime::now(), Instant::now());
        context.decode(batch).map_err(|error| EngineError::Native(error.to_string()))?;
        context.synchronize();
        self.threads.measure(cpu.elapsed(), wall.elapsed());
        Ok(())
    }

    /// Moves to another number of threads where what was measured asks for it.
    ///
    /// llama-cpp-2 sets a context's threads only when it is made, so the sequence moves to a new one, which is made when the
    /// old one's memory is free. Logits do not move: this comes between taking a token and computing the next.
    fn fit_threads(&mut self, context: LlamaContext<'a>) -> Result<LlamaContext<'a>, EngineError> {
        let fitting = self.threads.count();
        if fitting == self.made_for {
            return Ok(context);
        }
        tracing::info!(from = self.made_for, to = fitting, "the machine's load changed: another number of threads");
        let native = |error: String| EngineError::Native(format!("moving to {fitting} threads: {error}"));
        let flags = LlamaStateSeqFlags::empty();
        let state = context.state_seq_get(0, flags).map_err(|error| native(error.to_string()))?;
        drop(context);
        self.made_for = fitting;
        let mut context = self.make_context()?;
        context.state_seq_set(&state, 0).map_err(|error| native(error.to_string()))?;
        Ok(context)
    }

    fn make_context(&mut self) -> Result<LlamaContext<'a>, EngineError> {
        let params = context_params(self.backend, self.context_length, self.piece, self.made_for);
        new_context(self.backend, self.model, self.adapter.as_deref_mut(), params)
    }
}

/// Logits behind each token, on one thread and with a KV cache in F32, so that they are exact and the same every time.
pub(super) fn logits(
    backend: &LlamaBackend,
    model: &LlamaModel,
    adapter: Option<&mut LlamaLoraAdapter>,
    tokens: &[LlamaToken],
) -> Result<Vec<Vec<f32>>, EngineError> {
    let limit = MOST_LOGITS.min(model.n_ctx_train() as usize);
    if tokens.len() > limit {
        return Err(EngineError::ContextOverflow { tokens: tokens.len(), limit, hint: "" });
    }
    let native = |error: String| EngineError::Native(error);
    // Flash attention, which a GPU may have, would round keys and values to F16.
    let exact = context_params(backend, limit, limit, 1)
        .with_flash_attention_policy(FLASH_ATTENTION_OFF)
        .with_type_k(KvCacheType::F32)
        .with_type_v(KvCacheType::F32);
    let mut context = new_context(backend, model, adapter, exact)?;
    let mut batch = LlamaBatch::new(limit, 1);
    batch.add_sequence(tokens, 0, true).map_err(|error| native(error.to_string()))?;
    context.decode(&mut batch).map_err(|error| native(error.to_string()))?;
    let rows = i32::try_from(tokens.len()).map_err(|error| native(error.to_string()))?;
    Ok((0..rows).map(|row| context.get_logits_ith(row).to_vec()).collect())
}

fn context_length(model: &LlamaModel, request: &Request, prompt: usize) -> Result<usize, EngineError> {
    let trained = model.n_ctx_train() as usize;
    let limit = request.context.map_or(trained, |asked| (asked as usize).min(trained));
    if prompt >= limit {
        let hint = if limit < trained { " or raise `--ctx-size`" } else { "" };
        return Err(EngineError::ContextOverflow { tokens: prompt, limit, hint });
    }
    let needed = prompt + request.max_tokens as usize;
    Ok(needed.next_multiple_of(CONTEXT_STEP).min(limit))
}

fn context_params(backend: &LlamaBackend, length: usize, batch: usize, threads: usize) -> LlamaContextParams {
    let threads = i32::try_from(threads).unwrap_or(i32::MAX);
    let batch = u32::try_from(batch).unwrap_or(u32::MAX);
    let params = LlamaContextParams::default()
        .with_n_ctx(u32::try_from(length).ok().and_then(NonZeroU32::new))
        .with_n_batch(batch)
        .with_n_ubatch(batch)
        .with_n_threads(threads)
        .with_n_threads_batch(threads);
    match backend.supports_gpu_offload() {
        true => params,
        false => params.with_flash_attention_policy(FLASH_ATTENTION_OFF),
    }
}

fn new_context<'a>(
    backend: &LlamaBackend,
    model: &'a LlamaModel,
    adapter: Option<&mut LlamaLoraAdapter>,
    params: LlamaContextParams,
) -> Result<LlamaContext<'a>, EngineError> {
    let native = |error: String| EngineError::Native(format!("making a context: {error}"));
    let mut context = model.new_context(backend, params).map_err(|error| native(error.to_string()))?;
    if let Some(adapter) = adapter {
        context.lora_adapter_set(adapter, 1.0).map_err(|error| native(error.to_string()))?;
    }
    Ok(context)
}

/// Fills a batch with consecutive tokens of sequence 0; only the last may ask for logits.
fn fill(batch: &mut LlamaBatch<'_>, tokens: &[LlamaToken], start: usize, logits: bool) -> Result<(), EngineError> {
    batch.clear();
    for (place, token) in tokens.iter().enumerate() {
        let position = i32::try_from(start + place).map_err(|error| EngineError::Native(error.to_string()))?;
        let last = place + 1 == tokens.len();
        batch.add(*token, position, &[0], last && logits).map_err(|error| EngineError::Native(error.to_string()))?;
    }
    Ok(())
}
