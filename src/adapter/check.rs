//! Whether an adapter fits a base model, asked before llama.cpp is.

use crate::digest::Digest;
use crate::model::BaseModel;

use super::Adapter;

/// Why an adapter cannot run on a base model; worded to follow the adapter's name.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum CheckError {
    #[error("is made for architecture `{adapter}`, the base model is `{model}`")]
    Architecture { adapter: String, model: String },
    #[error("was trained on base model {adapter}, this one is {model} (sha256)")]
    Base { adapter: String, model: String },
    #[error("changes tensor `{tensor}`, which the base model does not have")]
    NoTensor { tensor: String },
    #[error(
        "changes tensor `{tensor}` of {adapter_in} inputs and {adapter_out} outputs; the base model's has {model_in} and {model_out}"
    )]
    Shape { tensor: String, adapter_in: u64, adapter_out: u64, model_in: u64, model_out: u64 },
}

impl Adapter {
    /// Checks architecture, base model and every shape; gives how many of the model's tensors the adapter changes.
    ///
    /// `base` is the digest of the base model's file; an adapter whose card names none fits any model of its shape.
    pub fn check(&self, model: &BaseModel, base: Digest) -> Result<usize, CheckError> {
        if self.architecture != model.architecture {
            return Err(CheckError::Architecture {
                adapter: self.architecture.clone(),
                model: model.architecture.clone(),
            });
        }
        if let Some(trained) = self.card.base_sha256
            && trained != base
        {
            return Err(CheckError::Base { adapter: trained.short(), model: base.short() });
        }
        for (tensor, pair) in &self.pairs {
            let Some((model_in, model_out)) = model.shape(tensor) else {
                return Err(CheckError::NoTensor { tensor: tensor.clone() });
            };
            let (adapter_in, adapter_out) = (pair.a.columns() as u64, pair.b.rows() as u64);
            if (adapter_in, adapter_out) != (model_in, model_out) {
                let tensor = tensor.clone();
                return Err(CheckError::Shape { tensor, adapter_in, adapter_out, model_in, model_out });
            }
        }
        Ok(self.pairs.len())
    }
}
