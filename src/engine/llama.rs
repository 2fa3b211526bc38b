//! The engine that runs: llama.cpp. Only this folder names `llama_cpp_2`.
//!
//! llama.cpp loads an adapter into a model while no context lives, and takes one adapter at a time. So: one model, its
//! adapters by path, and a context for each request, which also keeps one adapter's KV cache from another's. An adapter is
//! freed only with its model, so for more than a few the model is loaded anew.

mod cores;
mod decode;
mod native;
mod prompt;
mod sampler;
mod threads;

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::OnceLock;

use llama_cpp_2::llama_backend::LlamaBackend;
use llama_cpp_2::model::params::LlamaModelParams;
use llama_cpp_2::model::{LlamaLoraAdapter, LlamaModel};
use llama_cpp_2::token::LlamaToken;

pub use native::{Native, native};

use super::{Engine, EngineError, Outcome, Prompt, Request, Step};
use cores::Look;
use threads::Threads;

/// How many adapters a model keeps. One for the default model takes 10 MB; loading the model anew takes 0.15 s.
const MOST_ADAPTERS: usize = 8;

/// How a model is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LoadOptions {
    /// Threads to compute with; `None` for the number of physical cores, adapted to what is measured.
    pub threads: Option<usize>,
    /// Layers to put on a GPU; `None` for all of them where there is one.
    pub gpu_layers: Option<u32>,
}

/// A loaded model and the adapters loaded into it.
pub struct Llama {
    path: PathBuf,
    model: LlamaModel,
    adapters: HashMap<PathBuf, LlamaLoraAdapter>,
    options: LoadOptions,
    threads: Threads,
}

impl std::fmt::Debug for Llama {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Llama").field("path", &self.path).field("options", &self.options).finish_non_exhaustive()
    }
}

/// llama.cpp's global state, which can be set up once in a process.
fn backend() -> Result<&'static LlamaBackend, EngineError> {
    static BACKEND: OnceLock<Result<LlamaBackend, String>> = OnceLock::new();
    let started = BACKEND.get_or_init(|| {
        llama_cpp_2::send_logs_to_tracing(llama_cpp_2::LogOptions::default());
        LlamaBackend::init().map_err(|error| error.to_string())
    });
    started.as_ref().map_err(|why| EngineError::Native(why.clone()))
}

fn load(
    path: &Path,
    gpu_layers: Option<u32>,
    mut on_progress: impl FnMut(f32) -> ControlFlow<()> + 'static,
) -> Result<LlamaModel, EngineError> {
    let backend = backend()?;
    let failed = |why: String| EngineError::Load { path: path.to_path_buf(), why };
    if !path.exists() {
        return Err(failed(": there is no such file".to_owned()));
    }
    let cancelled = std::rc::Rc::new(std::cell::Cell::new(false));
    let seen = cancelled.clone();
    let mut params = LlamaModelParams::default().with_progress_callback(move |fraction| {
        let go_on = on_progress(fraction).is_continue();
        seen.set(!go_on);
        go_on
    });
    if let Some(layers) = gpu_layers {
        params = params.with_n_gpu_layers(layers);
    }
    let params = pin!(params);
    LlamaModel::load_from_file(backend, path, &params).map_err(|error| match cancelled.get() {
        true => EngineError::LoadCancelled,
        false => failed(format!(": {error}; `-v` shows what llama.cpp says")),
    })
}

impl Llama {
    /// Loads a model. `on_progress` hears the loaded fraction, 0 to 1; `Break` gives up.
    pub fn load(
        path: &Path,
        options: LoadOptions,
        on_progress: impl FnMut(f32) -> ControlFlow<()> + 'static,
    ) -> Result<Self, EngineError> {
        let most = options.threads.unwrap_or_else(threads::default_count);
        let threads = Threads::new(most, options.threads.is_some() || backend()?.supports_gpu_offload(), Look::now);
        let model = load(path, options.gpu_layers, on_progress)?;
        Ok(Self { path: path.to_path_buf(), model, adapters: HashMap::new(), options, threads })
    }

    /// The context length that the model was trained with, in tokens.
    #[must_use]
    pub fn trained_context(&self) -> u32 {
        self.model.n_ctx_train()
    }

    /// How many tokens a rendered prompt makes in one go, its special tokens included: as training counts them.
    #[must_use]
    pub fn count(&self, rendered: &str) -> usize {
        self.model.vocab().tokenize(rendered.as_bytes(), true, true).len()
    }

    /// The tokens of a request's prompt, as a run would compute them.
    pub fn prompt_tokens(&self, request: &Request) -> Result<Vec<u32>, EngineError> {
        let rendered = prompt::render(&self.model, request)?;
        Ok(rendered.tokens.into_iter().map(number).collect())
    }

    /// The tokens of an answer and the token that ends it, as the model should put them out.
    #[must_use]
    pub fn answer_tokens(&self, answer: &str) -> Vec<u32> {
        let vocab = self.model.vocab();
        let mut tokens = vocab.tokenize(answer.as_bytes(), false, false);
        tokens.push(vocab.eos());
        tokens.into_iter().map(number).collect()
    }

    /// The tokens of a plain text, with what the model puts before any text.
    #[must_use]
    pub fn text_tokens(&self, text: &str) -> Vec<u32> {
        self.model.vocab().tokenize(text.as_bytes(), true, false).into_iter().map(number).collect()
    }

    /// The logits behind every token of a plain text, one row of vocabulary length each: what training and merging are
    /// checked against.
    pub fn logits(&mut self, text: &str, adapter: Option<&Path>) -> Result<Vec<Vec<f32>>, EngineError> {
        let backend = backend()?;
        if let Some(path) = adapter {
            self.load_adapter(path)?;
        }
        let tokens = self.model.vocab().tokenize(text.as_bytes(), true, false);
        let adapter = adapter.and_then(|path| self.adapters.get_mut(path));
        decode::logits(backend, &self.model, adapter, &tokens)
    }

    fn load_adapter(&mut self, path: &Path) -> Result<(), EngineError> {
        if self.adapters.contains_key(path) {
            return Ok(());
        }
        let refused = || EngineError::Adapter { path: path.to_path_buf() };
        if !path.exists() {
            return Err(refused());
        }
        if self.adapters.len() == MOST_ADAPTERS {
            let anew = load(&self.path, self.options.gpu_layers, |_| ControlFlow::Continue(()))?;
            self.adapters.clear();
            self.model = anew;
        }
        let adapter = self.model.lora_adapter_init(path).map_err(|_| refused())?;
        self.adapters.insert(path.to_path_buf(), adapter);
        Ok(())
    }
}

/// A token's number; llama.cpp's are never negative.
fn number(token: LlamaToken) -> u32 {
    u32::try_from(token.0).unwrap_or_default()
}

impl Engine for Llama {
    fn prompt(&self, request: &Request) -> Result<Prompt, EngineError> {
        let rendered = prompt::render(&self.model, request)?;
        Ok(Prompt { tokens: rendered.tokens.len(), text: rendered.text })
    }

    fn generate(
        &mut self,
        request: &Request,
        on_step: &mut dyn FnMut(Step<'_>) -> ControlFlow<()>,
    ) -> Result<Outcome, EngineError> {
        let backend = backend()?;
        let prompt = prompt::render(&self.model, request)?;
        if let Some(path) = &request.adapter {
            self.load_adapter(path)?;
        }
        let adapter = request.adapter.as_ref().and_then(|path| self.adapters.get_mut(path));
        decode::Pass::new(backend, &self.model, adapter, &mut self.threads, request, &prompt.tokens)?.run(on_step)
    }
}
