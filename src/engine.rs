//! The seam between what is asked and what runs it: a request in, steps out, the caller decides whether to go on.

pub mod llama;
mod pieces;

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use pieces::Pieces;

/// How the next token is chosen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sampling {
    /// Zero takes the likeliest token (greedy); more makes unlikely ones likelier.
    pub temperature: f32,
    /// How many of the likeliest tokens are considered; zero for all.
    pub top_k: u32,
    /// The likeliest tokens that together reach this probability are considered; one for all.
    pub top_p: f32,
    /// Tokens less likely than this share of the likeliest are not considered; zero for all.
    pub min_p: f32,
    /// The seed of the random choice.
    pub seed: u32,
    /// What the scores of tokens that already came out are divided by; one for no penalty. The prompt is not penalised.
    pub repeat_penalty: f32,
    /// Over how many of the last output tokens the penalty looks.
    pub repeat_last_n: u32,
}

/// One pass through the model.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// A system message; most prompts have none, as the adapters were trained.
    pub system: Option<String>,
    /// The user message: instruction, empty line, document.
    pub user: String,
    /// The adapter file to run with.
    pub adapter: Option<PathBuf>,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// The most tokens to put out.
    pub max_tokens: u32,
    /// The context length, in tokens; `None` for as much as prompt and output need.
    pub context: Option<u32>,
}

/// What happens during a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step<'a> {
    /// So many of the prompt's tokens are in the context.
    Prefill {
        /// Tokens done.
        done: usize,
        /// Tokens in all.
        total: usize,
    },
    /// A token was decoded; the text that it completed, which may be empty and is always whole characters.
    Token(&'a str),
}

/// Why a pass ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    /// The model ended its answer.
    EndOfGeneration,
    /// The token limit was reached.
    MaxTokens,
    /// The context is full.
    ContextFull,
    /// The caller broke off.
    Cancelled,
}

/// What a pass used and took.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Why it ended.
    pub stop: Stop,
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
    /// Tokens put out.
    pub output_tokens: usize,
    /// The context's length, in tokens.
    pub context: u32,
    /// Computing the prompt; making the context for it is in `first_token` only.
    pub prefill: Duration,
    /// From the prompt's end to the answer's.
    pub decode: Duration,
    /// From the request to the first token.
    pub first_token: Duration,
    /// Threads that decoded at the end: fewer than asked where the machine was busy.
    pub threads: usize,
}

/// A prompt as the model will see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// The text, with the chat template's marks.
    pub text: String,
    /// How many tokens it makes.
    pub tokens: usize,
}

/// Why an engine could not run a request.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum EngineError {
    #[error("the model `{path}` could not be loaded{why}", path = path.display())]
    Load { path: PathBuf, why: String },
    #[error("loading the model was cancelled")]
    LoadCancelled,
    #[error("llama.cpp refused the adapter `{path}`; `nfold adapters check` may tell why", path = path.display())]
    Adapter { path: PathBuf },
    #[error(
        "the document and its instruction take {tokens} tokens, the context holds {limit} and needs room for an answer; \
         shorten the document{hint}"
    )]
    ContextOverflow { tokens: usize, limit: usize, hint: &'static str },
    #[error("the model's chat template is none that llama.cpp knows")]
    ChatTemplate,
    #[error("the {0} holds a NUL character, which llama.cpp cannot take")]
    Nul(&'static str),
    #[error("llama.cpp failed: {0}")]
    Native(String),
}

/// Runs requests one after another.
pub trait Engine {
    /// Renders and counts a request's prompt without running it.
    fn prompt(&self, request: &Request) -> Result<Prompt, EngineError>;

    /// Runs one request, handing every step to `on_step`; `Break` ends it before the next decode.
    ///
    /// Prefill counts rise to their total; tokens' texts join to the whole answer; a broken-off pass is an `Ok` with
    /// [`Stop::Cancelled`], and the next request starts clean.
    fn generate(
        &mut self,
        request: &Request,
        on_step: &mut dyn FnMut(Step<'_>) -> ControlFlow<()>,
    ) -> Result<Outcome, EngineError>;
}
