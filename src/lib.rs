//! nfold folds several text tasks into one pass of a local language model.
//!
//! # Layers, lowest first
//! `digest`, `file`, `gguf` ← `adapter`, `model` ← `merge`, `calibration` ← `compose` | `engine` ← `plan` ← `run` ← `eval`, `worker` ← `tui` ← `cli`;
//! `train` stands on `adapter`, `calibration` and `gguf` and knows no engine: tokens come in.
//!
//! # Invariants
//! - Nothing below `cli` and `tui` prints, reads the environment or sleeps. Folders come in from [`paths`], resolved once.
//! - Only `engine::llama` names `llama_cpp_2`.
//! - Only `model::pull` opens a socket.
//! - `tui` runs no native code: its engine is another process ([`worker`]), whose death it survives.
//! - `tui::App` and `tui::view` are pure: what the interface can do to the world is a variant of `tui::Effect`.
//! - Only `tui::theme` names a colour.
//! - A file that is written appears whole or not at all ([`mod@file`]).
//! - Everything that goes to a terminal passes [`sanitize`].
//! - `config.example.toml` holds every key and is the default.
//!
//! # Words
//! *Adapter*: a LoRA. *Merge*: adapters into one adapter. *Fuse*: an adapter into base weights. *Calibration*: a learned
//! correction of a merge. *Composed adapter*: merged and calibrated, one file. *Task*: summarize, translate:es, …
//! *Combination*: a main task and the tasks that shape its output. *Pass*: one prefill and decode.

pub mod adapter;
pub mod calibration;
pub mod cli;
pub mod compose;
pub mod config;
pub mod data;
pub mod digest;
pub mod document;
pub mod engine;
pub mod eval;
pub mod file;
pub mod gguf;
pub mod history;
pub mod library;
pub mod merge;
pub mod model;
pub mod paths;
pub mod plan;
pub mod run;
pub mod sanitize;
pub mod strategy;
mod suggest;
pub mod task;
#[cfg(feature = "train")]
pub mod train;
pub mod tui;
pub mod worker;
