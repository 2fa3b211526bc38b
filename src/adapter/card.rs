//! The card an adapter carries: task, base model and provenance, as GGUF metadata under `nfold.`.

use serde::Serialize;

use crate::digest::Digest;
use crate::gguf::{File, Value, Writer};

/// What an adapter file tells about itself. Everything is optional: adapters made elsewhere have no card.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Card {
    /// The task it was trained for, `translate:es`; for a merged adapter the combination.
    pub task: Option<String>,
    /// The name of the base model it was trained on.
    pub base_name: Option<String>,
    /// The SHA-256 of that base model's file.
    pub base_sha256: Option<Digest>,
    /// What it was trained on.
    pub data: Option<String>,
    /// The licence it is given under.
    pub license: Option<String>,
    /// How it was made: trained, imported, merged; with what.
    pub provenance: Option<String>,
    /// What was measured on it.
    pub figures: Option<String>,
}

impl Card {
    /// Reads the card from a file's metadata; keys that are missing or of another type are left out.
    #[must_use]
    pub fn from_metadata(file: &File) -> Self {
        let text = |key: &str| file.get(key).and_then(Value::as_str).map(str::to_owned);
        Self {
            task: text("nfold.task").or_else(|| text("adapter.lora.task_name")),
            base_name: text("nfold.base.name"),
            base_sha256: text("nfold.base.sha256").and_then(|digest| digest.parse().ok()),
            data: text("nfold.data"),
            license: text("nfold.license"),
            provenance: text("nfold.provenance"),
            figures: text("nfold.figures"),
        }
    }

    /// Adds the card to a file to be written. The task is also given under the key that llama.cpp's tools show.
    pub fn write_metadata(&self, file: &mut Writer<'_>) {
        let mut set = |key: &str, value: Option<String>| {
            if let Some(text) = value {
                file.set(key, Value::String(text));
            }
        };
        set("adapter.lora.task_name", self.task.clone());
        set("nfold.task", self.task.clone());
        set("nfold.base.name", self.base_name.clone());
        set("nfold.base.sha256", self.base_sha256.map(String::from));
        set("nfold.data", self.data.clone());
        set("nfold.license", self.license.clone());
        set("nfold.provenance", self.provenance.clone());
        set("nfold.figures", self.figures.clone());
    }
}
