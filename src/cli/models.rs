//! `nfold models`: list, pull, add, path.

use std::path::Path;

use serde_json::json;

use crate::digest::Digests;
use crate::model::{self, Origin, Store};

use super::Session;
use super::args::ModelsCommand;
use super::console::Console;
use super::exit::{Exit, Failure};

pub(super) fn run(session: &Session, command: ModelsCommand) -> Result<Exit, Failure> {
    let folder = session.paths.models();
    let store = Store { known: &session.config.models, folder: &folder, hub: &session.paths.hub };
    match command {
        ModelsCommand::List { json } => list(&store, json),
        ModelsCommand::Path { name } => {
            let found = store.find(&name).map_err(|error| Failure::new(Exit::Unfit, error))?;
            Console::out(&format!("{}\n", found.path.display()))?;
            Ok(Exit::Done)
        }
        ModelsCommand::Add { path } => add(session, &store, &path),
        ModelsCommand::Pull { name, endpoint, offline } => pull(session, &store, &name, &endpoint, offline),
    }
}

fn list(store: &Store<'_>, as_json: bool) -> Result<Exit, Failure> {
    let mut rows = Vec::new();
    for (name, entry) in store.known {
        let found = store.find(name).ok();
        let place = match found.as_ref().map(|found| found.origin) {
            Some(Origin::Folder | Origin::Path) => "here",
            Some(Origin::Hub) => "in the Hugging Face cache",
            None => "not downloaded",
        };
        rows.push((name.clone(), place, entry.size, entry.license.clone(), found.map(|found| found.path)));
    }
    for found in store.others() {
        rows.push((found.name, "here", None, None, Some(found.path)));
    }
    if as_json {
        let list: Vec<_> = rows
            .iter()
            .map(|(name, place, size, license, path)| {
                json!({"name": name, "state": place, "size": size, "license": license, "path": path})
            })
            .collect();
        Console::out(&format!("{:#}\n", json!({ "models": list })))?;
        return Ok(Exit::Done);
    }
    let mut text = String::new();
    for (name, place, size, license, path) in rows {
        let size = size.map_or_else(String::new, |size| format!("{} MB", size / 1_000_000));
        let path = path.map_or_else(String::new, |path| path.display().to_string());
        let line = format!("{name:<24} {place:<26} {size:>8} {:<12} {path}", license.unwrap_or_default());
        text += line.trim_end();
        text.push('\n');
    }
    Console::out(&text)?;
    Ok(Exit::Done)
}

fn add(session: &Session, store: &Store<'_>, path: &Path) -> Result<Exit, Failure> {
    let target = model::add(path, store.folder).map_err(|error| Failure::new(Exit::Unfit, error))?;
    let digest = Digests::in_folder(session.paths.digests()).of_file(&target);
    let digest =
        digest.map_err(|error| Failure::new(Exit::Failed, format!("cannot read `{}`: {error}", target.display())))?;
    let stem = target.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let name = store.name_of(digest).map_or(stem, str::to_owned);
    let mismatch = store.known.values().any(|entry| {
        target.file_name() == Some(entry.file.as_os_str()) && entry.sha256.is_some_and(|expected| expected != digest)
    });
    if mismatch {
        let message =
            format!("`{}` has another SHA-256 than the model of that name should have: {digest}", target.display());
        return Err(Failure::new(Exit::Unfit, message));
    }
    session.console.note(&format!("added {name}: `{}`, SHA-256 {}", target.display(), digest.short()));
    Ok(Exit::Done)
}

#[cfg(feature = "download")]
fn pull(session: &Session, store: &Store<'_>, name: &str, endpoint: &str, offline: bool) -> Result<Exit, Failure> {
    use std::ops::ControlFlow;

    use super::console::Unit;

    let entry = store.known.get(name).ok_or_else(|| match store.find(name) {
        Ok(found) => Failure::new(Exit::Usage, format!("`{name}` is here already: `{}`", found.path.display())),
        Err(error) => Failure::new(Exit::Usage, error),
    })?;
    if let Ok(found) = store.find(name) {
        let digest = Digests::in_folder(session.paths.digests()).of_file(&found.path).ok();
        if entry.sha256.is_none() || digest == entry.sha256 {
            session.console.note(&format!("{name} is here already: `{}`", found.path.display()));
            return Ok(Exit::Done);
        }
    }
    if offline {
        return Err(Failure::new(Exit::Failed, "HF_HUB_OFFLINE is set: nothing is downloaded"));
    }
    let Some(source) = model::Source::of(entry, endpoint) else {
        return Err(Failure::new(
            Exit::Usage,
            format!("the configuration names no `repo` for `{name}` to download from"),
        ));
    };
    let target = store.folder.join(&entry.file);
    let bar = session.console.progress("downloading", Unit::Bytes);
    let result = model::pull(&source, &target, &mut |progress| {
        bar.set_length(progress.total.unwrap_or(0));
        bar.set_position(progress.done);
        ControlFlow::Continue(())
    });
    bar.finish_and_clear();
    result.map_err(|error| Failure::new(Exit::Failed, error))?;
    session.console.note(&format!("{name} is at `{}`", target.display()));
    Ok(Exit::Done)
}

#[cfg(not(feature = "download"))]
fn pull(_: &Session, _: &Store<'_>, name: &str, _: &str, _: bool) -> Result<Exit, Failure> {
    let message =
        format!("this nfold was built without `download`; fetch {name} by hand and use `nfold models add FILE`");
    Err(Failure::new(Exit::Failed, message))
}
