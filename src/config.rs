//! Configuration: `config.example.toml` with the user's file laid over it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use toml::de::{DeTable, DeValue};
use toml::{Table, Value};

use crate::digest::Digest;
use crate::engine::Sampling;
use crate::strategy::Method;
use crate::suggest::nearest;
use crate::task::{Catalogue, Spec};

/// The default configuration, which is also its documentation.
pub const EXAMPLE: &str = include_str!("../config.example.toml");

/// Everything that can be configured. Every field is in the example file, so there are no other defaults.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The base model: a name or a path.
    pub model: String,
    /// How adapters are used.
    pub method: Method,
    /// A system message; empty for none.
    pub system: String,
    /// The most tokens of an answer.
    pub max_tokens: u32,
    /// The context in tokens; zero for what is needed.
    pub ctx_size: u32,
    /// Threads; zero for the physical cores.
    pub threads: u32,
    /// Layers on a GPU; negative for all.
    pub gpu_layers: i32,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// Base models that are known by name.
    pub models: BTreeMap<String, ModelEntry>,
    /// Adapter files by model and task.
    pub adapters: BTreeMap<String, BTreeMap<String, PathBuf>>,
    /// Calibration files by model and combination.
    pub calibrations: BTreeMap<String, BTreeMap<String, PathBuf>>,
    /// Tasks by name.
    pub tasks: BTreeMap<String, Spec>,
    /// Instructions of combinations that do not follow the rule.
    pub instructions: BTreeMap<String, String>,
    /// The terminal interface.
    pub interface: Interface,
    /// Keys by action.
    pub keys: BTreeMap<String, Vec<String>>,
}

/// How the terminal interface looks and behaves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interface {
    /// A theme's name; `auto` for one that fits the terminal's background.
    pub theme: String,
    /// Whether the mouse is the interface's, not the terminal's.
    pub mouse: bool,
    /// Whether runs are kept.
    pub history: bool,
}

/// A base model that is known by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelEntry {
    /// The file's name, or its path.
    pub file: PathBuf,
    /// The Hugging Face repository that has it.
    pub repo: Option<String>,
    /// Its SHA-256.
    pub sha256: Option<Digest>,
    /// Its size in bytes.
    pub size: Option<u64>,
    /// Its licence.
    pub license: Option<String>,
}

/// Why a configuration file cannot be used.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum ConfigError {
    #[error("cannot read the configuration `{path}`: {source}", path = path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("`{path}`, line {line}: {problem}", path = path.display())]
    Wrong { path: PathBuf, line: usize, problem: String },
}

impl Config {
    /// The default alone.
    pub fn example() -> Result<Self, ConfigError> {
        Self::parse("", Path::new("config.example.toml"))
    }

    /// The default with a file laid over it. A `path` that does not exist is an error only where it `must_exist`.
    pub fn load(path: &Path, must_exist: bool) -> Result<Self, ConfigError> {
        match fs::read_to_string(path) {
            Ok(text) => Self::parse(&text, path),
            Err(source) if source.kind() == io::ErrorKind::NotFound && !must_exist => Self::example(),
            Err(source) => Err(ConfigError::Io { path: path.to_path_buf(), source }),
        }
    }

    /// The default with `text` laid over it; `path` is its name in messages, and its folder that of relative paths.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let wrong = |line, problem| ConfigError::Wrong { path: path.to_path_buf(), line, problem };
        let syntax = |error: &toml::de::Error| wrong(line_at(text, error.span()), error.message().to_owned());
        let mut user: Table = toml::from_str(text).map_err(|error| syntax(&error))?;
        let folder = path.parent().unwrap_or_else(|| Path::new(""));
        make_paths_absolute(&mut user, folder);
        let mut table: Table = toml::from_str(EXAMPLE).map_err(|error| syntax(&error))?;
        overlay(&mut table, user);
        let config: Self = serde_path_to_error::deserialize(Value::Table(table)).map_err(|error| {
            let keys: Vec<String> = error.path().iter().map(ToString::to_string).collect();
            let problem = explain(&keys.join("."), error.inner().message());
            wrong(line_of(text, &keys), problem)
        })?;
        config.check().map_err(|(keys, problem)| wrong(line_of(text, &keys), problem))?;
        Ok(config)
    }

    /// The tasks there are.
    #[must_use]
    pub fn catalogue(&self) -> Catalogue<'_> {
        Catalogue { tasks: &self.tasks, instructions: &self.instructions }
    }

    /// What types cannot say: which numbers make sense. Gives the keys and the problem of the first that does not.
    fn check(&self) -> Result<(), (Vec<String>, String)> {
        let sampling = &self.sampling;
        let at_least = |number: f32, least: f32| number.is_finite() && number >= least;
        let checks = [
            ("temperature", at_least(sampling.temperature, 0.0), "must be zero or more"),
            ("top_p", (0.0..=1.0).contains(&sampling.top_p), "must be between 0 and 1"),
            ("min_p", (0.0..=1.0).contains(&sampling.min_p), "must be between 0 and 1"),
            (
                "repeat_penalty",
                at_least(sampling.repeat_penalty, 0.0) && sampling.repeat_penalty > 0.0,
                "must be above zero",
            ),
        ];
        if let Some((key, _, problem)) = checks.iter().find(|check| !check.1) {
            return Err((vec!["sampling".to_owned(), (*key).to_owned()], format!("`sampling.{key}` {problem}")));
        }
        let wrong = |spec: &Spec| spec.repeat_penalty.is_some_and(|penalty| !at_least(penalty, f32::MIN_POSITIVE));
        if let Some((name, _)) = self.tasks.iter().find(|(_, spec)| wrong(spec)) {
            let keys = vec!["tasks".to_owned(), name.clone(), "repeat_penalty".to_owned()];
            return Err((keys, format!("`tasks.{name}.repeat_penalty` must be above zero")));
        }
        if self.max_tokens == 0 {
            return Err((vec!["max_tokens".to_owned()], "`max_tokens` must be above zero".to_owned()));
        }
        Ok(())
    }
}

/// Lays one table over another: tables key by key, everything else whole.
fn overlay(base: &mut Table, over: Table) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(Value::Table(below)), Value::Table(above)) => overlay(below, above),
            (_, value) => drop(base.insert(key, value)),
        }
    }
}

/// Makes the user's relative paths absolute, against the folder of the user's file.
fn make_paths_absolute(user: &mut Table, folder: &Path) {
    let absolute = |value: &mut Value| {
        if let Value::String(text) = value
            && Path::new(text).is_relative()
        {
            *text = folder.join(&*text).to_string_lossy().into_owned();
        }
    };
    for section in ["adapters", "calibrations"] {
        let models = user.get_mut(section).and_then(Value::as_table_mut).into_iter().flat_map(Table::iter_mut);
        for (_, files) in models {
            files.as_table_mut().into_iter().flat_map(Table::iter_mut).for_each(|(_, path)| absolute(path));
        }
    }
    let models = user.get_mut("models").and_then(Value::as_table_mut).into_iter().flat_map(Table::iter_mut);
    for (_, model) in models {
        let Some(table) = model.as_table_mut() else {
            continue;
        };
        let fetched = table.contains_key("repo");
        if let Some(file) = table.get_mut("file")
            && !fetched
        {
            absolute(file);
        }
    }
}

/// The line of a byte span, from 1.
fn line_at(text: &str, span: Option<std::ops::Range<usize>>) -> usize {
    let end = span.map_or(0, |span| span.start).min(text.len());
    text.as_bytes()[..end].split(|byte| *byte == b'\n').count()
}

/// The line on which a key, or as much of its path as is there, stands.
fn line_of(text: &str, keys: &[String]) -> usize {
    let Ok(document) = DeTable::parse(text) else {
        return 1;
    };
    let mut table = document.get_ref();
    let mut span = None;
    for key in keys {
        let Some((name, value)) = table.get_key_value(key.as_str()) else {
            break;
        };
        span = Some(name.span());
        match value.get_ref() {
            DeValue::Table(inner) => table = inner,
            _ => break,
        }
    }
    line_at(text, span)
}

/// Serde's message with the key's whole path, and the nearest right key for a wrong one.
fn explain(path: &str, message: &str) -> String {
    let Some(rest) = message.strip_prefix("unknown field `") else {
        return format!("`{path}`: {message}");
    };
    let (field, expected) = rest.split_once('`').unwrap_or((rest, ""));
    let words: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
    let path = if path.ends_with(field) { path.to_owned() } else { format!("{path}.{field}") };
    match nearest(field, words.iter().copied()) {
        Some(word) => format!("unknown key `{path}`, did you mean `{word}`?"),
        None => format!("unknown key `{path}`; there are {}", words.join(", ")),
    }
}
