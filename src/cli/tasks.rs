//! `nfold tasks`: what can be asked for.

use std::fmt::Write as _;

use serde_json::json;

use crate::library::Library;
use crate::plan::resolve_base;

use super::Session;
use super::console::Console;
use super::exit::{Exit, Failure};

pub(super) fn run(session: &Session, as_json: bool) -> Result<Exit, Failure> {
    let catalogue = session.config.catalogue();
    // Without the model its adapters are still found by its configured name.
    let model = resolve_base(&session.config.model, &session.config, &session.paths)
        .map_or_else(|_| session.config.model.clone(), |base| base.name);
    let library = Library { model: &model, config: &session.config, folders: &session.paths.adapters };
    let mut rows = Vec::new();
    for name in catalogue.examples() {
        let combination = catalogue.combination(&[&name]).map_err(|error| Failure::new(Exit::Usage, error))?;
        let adapter = library.adapter(&name).map_err(|error| Failure::new(Exit::Unfit, error))?;
        let instruction = combination.user_message("").trim_end().to_owned();
        rows.push((name, combination.tasks()[0].kind, adapter, instruction));
    }
    if as_json {
        let list: Vec<_> = rows
            .iter()
            .map(|(name, kind, adapter, text)| json!({"task": name, "kind": kind, "adapter": adapter, "instruction": text}))
            .collect();
        Console::out(&format!("{:#}\n", json!({ "model": model, "tasks": list })))?;
        return Ok(Exit::Done);
    }
    let mut text = String::new();
    for (name, kind, adapter, instruction) in rows {
        let kind = format!("{kind:?}").to_lowercase();
        let has = if adapter.is_some() { "adapter" } else { "-" };
        let _ = writeln!(text, "{name:<20} {kind:<8} {has:<8} {instruction}");
    }
    Console::out(&text)?;
    session.console.note(&format!("adapters for model {model}; combine with `+`, as in summarize+translate:es"));
    Ok(Exit::Done)
}
