//! From a request to tokens, through the model's own chat template.
//!
//! Only the template's own marks become special tokens. The user message is tokenised as plain text, so that a document
//! that contains `<|im_end|>` cannot end its own turn.

use llama_cpp_2::model::{LlamaChatMessage, LlamaModel};
use llama_cpp_2::token::LlamaToken;

use crate::engine::{EngineError, Request};

/// Stands for the user message while the template is rendered around it. No template contains it.
const MARK: &str = "\u{1}nfold\u{1}";

/// A rendered prompt.
pub(super) struct Rendered {
    pub(super) text: String,
    pub(super) tokens: Vec<LlamaToken>,
}

/// Renders a request's messages and tokenises them.
pub(super) fn render(model: &LlamaModel, request: &Request) -> Result<Rendered, EngineError> {
    let (before, after) = frame(model, request.system.as_deref())?;
    let user = request.user.as_str();
    if user.contains('\0') {
        return Err(EngineError::Nul("document"));
    }
    let vocab = model.vocab();
    let mut tokens = vocab.tokenize(before.as_bytes(), true, true);
    tokens.extend(vocab.tokenize(user.as_bytes(), false, false));
    tokens.extend(vocab.tokenize(after.as_bytes(), false, true));
    Ok(Rendered { text: format!("{before}{user}{after}"), tokens })
}

/// What the template puts before and after the user message.
fn frame(model: &LlamaModel, system: Option<&str>) -> Result<(String, String), EngineError> {
    let Ok(template) = model.chat_template(None) else {
        // A base model without a template: the plain text, as it continues text.
        let system = system.map_or_else(String::new, |system| format!("{system}\n\n"));
        return Ok((system, "\n\n".to_owned()));
    };
    let message = |role: &str, content: &str, what| {
        LlamaChatMessage::new(role.to_owned(), content.to_owned()).map_err(|_| EngineError::Nul(what))
    };
    let mut messages = Vec::new();
    if let Some(system) = system {
        messages.push(message("system", system, "system message")?);
    }
    messages.push(message("user", MARK, "document")?);
    let rendered = model.apply_chat_template(&template, &messages, true).map_err(|_| EngineError::ChatTemplate)?;
    let (before, after) = rendered.split_once(MARK).ok_or(EngineError::ChatTemplate)?;
    Ok((before.to_owned(), after.to_owned()))
}
