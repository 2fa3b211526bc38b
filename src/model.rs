//! Base models: what their GGUF header tells, where they are found, how they get there.

mod add;
#[cfg(feature = "download")]
mod pull;
mod store;
pub mod weights;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

pub use add::{AddError, add};
#[cfg(feature = "download")]
pub use pull::{Progress, PullError, Source, pull};
pub use store::{FindError, Found, Origin, Store};

use crate::gguf::{self, Value};

/// A base model as its file's header describes it. The weights stay in the file: llama.cpp reads them.
#[derive(Debug, Clone)]
pub struct BaseModel {
    /// The GGUF file.
    pub path: PathBuf,
    /// `general.architecture`: `llama`, `qwen2`, …
    pub architecture: String,
    /// `general.name`, where there is one.
    pub name: Option<String>,
    /// The context length it was trained with, in tokens.
    pub context_length: u64,
    /// How many layers (blocks) it has.
    pub layers: u64,
    /// How many attention heads for queries.
    pub heads: usize,
    /// How many attention heads for keys and values.
    pub kv_heads: usize,
    /// The embedding length.
    pub embedding: u64,
    shapes: HashMap<String, (u64, u64)>,
}

/// Why a file is no base model.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum HeaderError {
    #[error(transparent)]
    Gguf(#[from] gguf::ReadError),
    #[error("`{path}` is no language model: {problem}", path = path.display())]
    NotAModel { path: PathBuf, problem: String },
}

impl BaseModel {
    /// Reads and checks the header of a model's GGUF file.
    pub fn open(path: &Path) -> Result<Self, HeaderError> {
        let file = gguf::File::open(path)?;
        let not_a_model =
            |problem: &str| HeaderError::NotAModel { path: path.to_path_buf(), problem: problem.to_owned() };
        match file.get("general.type").and_then(Value::as_str) {
            None | Some("model") => {}
            Some(kind) => return Err(not_a_model(&format!("its `general.type` is `{kind}`"))),
        }
        let architecture = file.get("general.architecture").and_then(Value::as_str);
        let architecture = architecture.ok_or_else(|| not_a_model("it names no architecture"))?.to_owned();
        let number = |key: &str| file.get(&format!("{architecture}.{key}")).and_then(Value::as_u64);
        let (Some(layers), Some(embedding)) = (number("block_count"), number("embedding_length")) else {
            return Err(not_a_model("its metadata names no layers or no embedding length"));
        };
        let heads = small(number("attention.head_count"));
        let matrix = |tensor: &gguf::TensorInfo| match tensor.shape[..] {
            [inputs, outputs] => Some((tensor.name.clone(), (inputs, outputs))),
            _ => None,
        };
        Ok(Self {
            path: path.to_path_buf(),
            name: file.get("general.name").and_then(Value::as_str).map(str::to_owned),
            context_length: number("context_length").unwrap_or(0),
            layers,
            heads,
            kv_heads: number("attention.head_count_kv").map_or(heads, |count| small(Some(count))),
            embedding,
            shapes: file.tensors().iter().filter_map(matrix).collect(),
            architecture,
        })
    }

    /// Inputs and outputs (`d_in`, `d_out`) of a weight matrix.
    #[must_use]
    pub fn shape(&self, tensor: &str) -> Option<(u64, u64)> {
        self.shapes.get(tensor).copied()
    }

    /// How many weight matrices could carry a pair: those of the blocks.
    #[must_use]
    pub fn targets(&self) -> usize {
        self.shapes.keys().filter(|name| crate::adapter::module_type(name).is_some()).count()
    }
}

fn small(number: Option<u64>) -> usize {
    number.and_then(|number| usize::try_from(number).ok()).unwrap_or(0)
}
