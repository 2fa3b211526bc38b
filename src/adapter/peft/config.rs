//! `adapter_config.json`, as far as it matters for turning an adapter into plain pairs.

use std::path::Path;

use regex_lite::Regex;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::ImportError;

/// PEFT's configuration. Keys that do not bear on the weights' meaning are ignored, all others are read.
#[derive(Debug, Deserialize)]
pub(super) struct Config {
    pub(super) base_model_name_or_path: Option<String>,
    peft_type: String,
    r: usize,
    lora_alpha: f32,
    pub(super) target_modules: Modules,
    #[serde(default)]
    use_rslora: bool,
    #[serde(default)]
    rank_pattern: Map<String, Value>,
    #[serde(default)]
    alpha_pattern: Map<String, Value>,
    #[serde(default)]
    bias: Option<String>,
    /// Everything else; what is in [`REFUSED`] must be absent, null, false or empty.
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// Which modules have pairs: a list of name endings, or one regular expression.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Modules {
    List(Vec<String>),
    Pattern(String),
}

/// Keys that change what the pairs mean or add weights beside them, with the reason why they cannot be imported.
const REFUSED: [(&str, &str); 10] = [
    ("use_dora", "a DoRA magnitude rescales the whole weight, so it is no low-rank delta"),
    ("modules_to_save", "it carries whole base weights, which an adapter file cannot hold"),
    ("lora_bias", "biases have no place in a GGUF adapter"),
    ("fan_in_fan_out", "its weights are stored transposed (Conv1D models)"),
    ("use_qalora", "its inputs are pooled in groups, so its pairs do not fit the base weights"),
    ("layer_replication", "it changes the number of layers of the base model"),
    ("trainable_token_indices", "changed token embeddings have no place in a GGUF adapter"),
    ("target_parameters", "parameters outside linear modules cannot be changed by a GGUF adapter"),
    ("alora_invocation_tokens", "an activated LoRA switches on in the middle of a prompt and cannot be merged"),
    ("use_bdlora", "its factors are block-diagonal"),
];

impl Config {
    /// Refuses what plain pairs cannot express.
    pub(super) fn refuse_unsupported(&self, folder: &Path) -> Result<(), ImportError> {
        let refuse = |feature: &str, reason| {
            Err(ImportError::Unsupported { folder: folder.to_path_buf(), feature: feature.to_owned(), reason })
        };
        if self.peft_type != "LORA" {
            return refuse(&format!("PEFT type `{}`", self.peft_type), "only `LORA` can be imported");
        }
        if let Some(bias) = &self.bias
            && bias != "none"
        {
            return refuse(&format!("`bias: \"{bias}\"`"), "biases have no place in a GGUF adapter");
        }
        match REFUSED.iter().find(|(key, _)| self.rest.get(*key).is_some_and(is_set)) {
            Some((key, reason)) => refuse(&format!("`{key}`"), reason),
            None => Ok(()),
        }
    }

    /// The configuration with its patterns compiled.
    pub(super) fn patterns(&self) -> Result<Patterns, String> {
        let numbers = |pattern: &Map<String, Value>| -> Result<Vec<(Regex, f64)>, String> {
            pattern
                .iter()
                .map(|(key, value)| {
                    let number = value.as_f64().ok_or_else(|| format!("`{key}` is given no number"))?;
                    Ok((ending(key)?, number))
                })
                .collect()
        };
        let targets = match &self.target_modules {
            Modules::Pattern(pattern) if pattern == "all-linear" => Vec::new(),
            Modules::Pattern(pattern) => {
                vec![(compile(&format!("^(?:{pattern})$"))?, pattern.clone())]
            }
            Modules::List(names) => names
                .iter()
                .map(|name| Ok((ending(&regex_lite::escape(name))?, name.clone())))
                .collect::<Result<_, String>>()?,
        };
        Ok(Patterns {
            rank: self.r,
            alpha: self.lora_alpha,
            rank_stabilised: self.use_rslora,
            ranks: numbers(&self.rank_pattern)?,
            alphas: numbers(&self.alpha_pattern)?,
            targets,
        })
    }
}

fn is_set(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::Array(list) => !list.is_empty(),
        Value::Object(table) => !table.is_empty(),
        Value::Bool(true) | Value::Number(_) | Value::String(_) => true,
    }
}

/// PEFT's rule for keys of patterns: the module's whole name, or its end behind a dot.
fn ending(key: &str) -> Result<Regex, String> {
    compile(&format!(r"^(?:.*\.)?(?:{key})$"))
}

fn compile(pattern: &str) -> Result<Regex, String> {
    Regex::new(pattern).map_err(|error| format!("`{pattern}` is no regular expression that can be read: {error}"))
}

/// Rank, alpha and membership of modules.
pub(super) struct Patterns {
    rank: usize,
    alpha: f32,
    rank_stabilised: bool,
    ranks: Vec<(Regex, f64)>,
    alphas: Vec<(Regex, f64)>,
    targets: Vec<(Regex, String)>,
}

impl Patterns {
    /// The rank that the configuration gives a module.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "compared with the tensor's own rank")]
    pub(super) fn rank(&self, module: &str) -> usize {
        first_match(&self.ranks, module).map_or(self.rank, |rank| rank as usize)
    }

    /// What B · A is multiplied with for a module: alpha / r, or alpha / √r where rank-stabilised.
    #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "ranks and alphas are small")]
    pub(super) fn scaling(&self, module: &str) -> f32 {
        let rank = self.rank(module) as f32;
        let alpha = first_match(&self.alphas, module).map_or(self.alpha, |alpha| alpha as f32);
        if self.rank_stabilised { alpha / rank.sqrt() } else { alpha / rank }
    }

    /// The entries of `target_modules` that name this module; an error where none does.
    pub(super) fn target(&self, module: &str) -> Result<Vec<String>, String> {
        let names: Vec<String> =
            self.targets.iter().filter(|target| target.0.is_match(module)).map(|target| target.1.clone()).collect();
        if names.is_empty() && !self.targets.is_empty() {
            return Err("`target_modules` does not name this module, so PEFT would not load it".to_owned());
        }
        Ok(names)
    }
}

fn first_match(patterns: &[(Regex, f64)], module: &str) -> Option<f64> {
    patterns.iter().find(|pattern| pattern.0.is_match(module)).map(|pattern| pattern.1)
}
