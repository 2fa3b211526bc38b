//! `nfold adapters`: list, show, check, import, merge.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::adapter::{self, Adapter, Card, Precision};
use crate::calibration;
use crate::compose::{self, CalibrationFile, Ingredient, Recipe};
use crate::digest::Digests;
use crate::library::{Library, file_stem};
use crate::merge::Method;
use crate::plan::{Base, resolve_base};

use super::Session;
use super::args::AdaptersCommand;
use super::console::Console;
use super::exit::{Exit, Failure};

pub(super) fn run(session: &Session, command: AdaptersCommand) -> Result<Exit, Failure> {
    match command {
        AdaptersCommand::List { model, json } => list(session, model.as_deref(), json),
        AdaptersCommand::Show { adapter, model, json } => show(session, &adapter, model.as_deref(), json),
        AdaptersCommand::Check { adapters, model } => check(session, &adapters, model.as_deref()),
        AdaptersCommand::Import { folder, task, model, output, precision, data, license, figures } => {
            let card = Card { data, license, figures, ..Card::default() };
            import(session, &folder, &task, model.as_deref(), (output, precision), card)
        }
        AdaptersCommand::Merge { adapters, method, weights, calibration, model, output, precision } => {
            merge(session, &adapters, (method, weights, calibration), model.as_deref(), (&output, precision))
        }
    }
}

fn unfit(error: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Unfit, error)
}

fn base(session: &Session, model: Option<&str>) -> Result<Base, Failure> {
    Ok(resolve_base(model.unwrap_or(&session.config.model), &session.config, &session.paths)?)
}

fn library<'a>(session: &'a Session, model: &'a str) -> Library<'a> {
    Library { model, config: &session.config, folders: &session.paths.adapters }
}

/// An adapter file from a path or a task's name.
fn locate(session: &Session, base: &Base, asked: &str) -> Result<PathBuf, Failure> {
    if Path::new(asked).is_file() {
        return Ok(PathBuf::from(asked));
    }
    let looks_like_path = Path::new(asked).components().count() > 1
        || Path::new(asked).extension().is_some_and(|ending| ending == "gguf");
    if looks_like_path {
        return Err(unfit(format!("there is no adapter file `{asked}`")));
    }
    let task = session.config.catalogue().task(asked).map_err(|error| Failure::new(Exit::Usage, error))?;
    let found = library(session, &base.name).adapter(&task.id).map_err(unfit)?;
    found.ok_or_else(|| unfit(format!("there is no adapter for `{}` and model `{}`", task.id, base.name)))
}

fn list(session: &Session, model: Option<&str>, as_json: bool) -> Result<Exit, Failure> {
    let asked = model.unwrap_or(&session.config.model);
    let name = resolve_base(asked, &session.config, &session.paths).map_or_else(|_| asked.to_owned(), |base| base.name);
    let library = library(session, &name);
    let adapters = library.adapters(&session.config.catalogue().examples()).map_err(unfit)?;
    let calibrations = library.calibrations().map_err(unfit)?;
    let adapters: Vec<Row> = adapters.iter().map(|(task, path)| adapter_row(task, path)).collect();
    let calibrations: Vec<Row> = calibrations.iter().map(|path| calibration_row(path)).collect();
    if as_json {
        let objects = |rows: Vec<Row>| rows.into_iter().map(|row| row.1).collect::<Vec<_>>();
        let all = json!({"model": name, "adapters": objects(adapters), "calibrations": objects(calibrations)});
        Console::out(&format!("{all:#}\n"))?;
        return Ok(Exit::Done);
    }
    if adapters.is_empty() {
        let message = format!("no adapters for model {name}; `nfold adapters import` makes one from a PEFT folder");
        session.console.note(&message);
    }
    let lines = adapters.into_iter().chain(calibrations).map(|row| row.0 + "\n");
    Console::out(&lines.collect::<String>())?;
    Ok(Exit::Done)
}

/// A line for people and an object for programs.
type Row = (String, serde_json::Value);

fn adapter_row(task: &str, path: &Path) -> Row {
    match adapter::read_card(path) {
        Ok((card, (low, high))) => {
            let rank = if low == high { low.to_string() } else { format!("{low}-{high}") };
            let license = card.license.as_deref().unwrap_or_default();
            let rank = format!("adapter of rank {rank}");
            let line = format!("{task:<28} {rank:<24} {license:<14} {}", path.display());
            (line, json!({"task": task, "path": path, "rank": [low, high], "card": card}))
        }
        Err(error) => damaged("task", task, path, &error),
    }
}

fn calibration_row(path: &Path) -> Row {
    match calibration::read(path) {
        Ok(calibration) => {
            let (fit, parameters) = (&calibration.fit, calibration.parameters());
            let served = match &fit.combinations[..] {
                [one] => one.clone(),
                all => format!("{} combinations", all.len()),
            };
            let what = format!("calibration of {}", fit.method);
            let line = format!("{served:<28} {what:<24} {parameters:>6} numbers {}", path.display());
            let weights = &fit.weights;
            let object = json!({"combinations": fit.combinations, "path": path, "method": fit.method,
                "weights": weights, "parameters": parameters});
            (line, object)
        }
        Err(error) => damaged("calibration", &path.file_stem().unwrap_or_default().to_string_lossy(), path, &error),
    }
}

fn damaged(kind: &str, name: &str, path: &Path, error: &dyn std::fmt::Display) -> Row {
    (format!("{name:<28} damaged: {error}"), json!({kind: name, "path": path, "error": error.to_string()}))
}

fn show(session: &Session, asked: &str, model: Option<&str>, as_json: bool) -> Result<Exit, Failure> {
    let base = base(session, model)?;
    if let Some(path) = locate_calibration(session, &base, asked)? {
        return show_calibration(&base, &path, as_json);
    }
    let path = locate(session, &base, asked)?;
    let adapter = adapter::read(&path).map_err(unfit)?;
    let changed = adapter.check(&base.header, base.sha256);
    let changes = changed.as_ref().map_or(0, |count| *count);
    let (low, high) = adapter.ranks();
    let card = &adapter.card;
    if as_json {
        let object = json!({
            "path": path, "architecture": adapter.architecture, "alpha": adapter.alpha, "rank": [low, high],
            "parameters": adapter.parameters(), "changes": changes, "of": base.header.targets(), "card": card,
        });
        Console::out(&format!("{object:#}\n"))?;
    } else {
        let rank = if low == high { low.to_string() } else { format!("{low} to {high}") };
        let mut rows = vec![
            ("file", Some(path.display().to_string())),
            ("task", card.task.clone()),
            ("language", language(session, card)),
            ("rank", Some(rank)),
            ("alpha", Some(if adapter.alpha == 0.0 { "folded in".to_owned() } else { adapter.alpha.to_string() })),
            ("size", Some(format!("{} parameters, architecture {}", adapter.parameters(), adapter.architecture))),
            ("base", card.base_name.clone()),
            ("data", card.data.clone()),
            ("license", card.license.clone()),
            ("origin", card.provenance.clone()),
            ("figures", card.figures.clone()),
        ];
        rows.push(("changes", Some(format!("{changes} of {} weights of {}", base.header.targets(), base.name))));
        let known = rows.into_iter().filter_map(|(name, value)| value.map(|value| format!("{name:<9} {value}\n")));
        Console::out(&known.collect::<String>())?;
    }
    match changed {
        Ok(_) => Ok(Exit::Done),
        Err(error) => Err(unfit(format!("adapter `{}` {error}", path.display()))),
    }
}

/// A calibration file from a path or a combination's name; `None` where what was asked for is neither.
fn locate_calibration(session: &Session, base: &Base, asked: &str) -> Result<Option<PathBuf>, Failure> {
    if Path::new(asked).is_file() {
        let is_one = calibration::read(Path::new(asked)).is_ok();
        return Ok(is_one.then(|| PathBuf::from(asked)));
    }
    if !asked.contains('+') {
        return Ok(None);
    }
    let combination = session.config.catalogue().combination(&[asked]);
    let id = combination.map_err(|error| Failure::new(Exit::Usage, error))?.id();
    let found = library(session, &base.name).calibration(&id).map_err(unfit)?;
    let none = || unfit(format!("there is no calibration for `{id}` and model `{}`", base.name));
    found.ok_or_else(none).map(Some)
}

fn show_calibration(base: &Base, path: &Path, as_json: bool) -> Result<Exit, Failure> {
    let calibration = calibration::read(path).map_err(unfit)?;
    let card = calibration::read_card(path).map_err(unfit)?;
    let (fit, parameters) = (&calibration.fit, calibration.parameters());
    if as_json {
        let object = json!({
            "path": path, "architecture": calibration.architecture, "combinations": fit.combinations,
            "method": fit.method, "weights": fit.weights, "parameters": parameters, "adapters": fit.adapters,
            "card": card,
        });
        Console::out(&format!("{object:#}\n"))?;
    } else {
        let weights: Vec<String> = fit.weights.iter().map(f32::to_string).collect();
        let adapters: Vec<String> =
            fit.adapters.iter().map(|(task, sha256)| format!("{task} {}", sha256.short())).collect();
        let rows = [
            ("file", Some(path.display().to_string())),
            ("serves", Some(fit.combinations.join(", "))),
            ("merge", Some(format!("{} with weights {}", fit.method, weights.join(", ")))),
            ("size", Some(format!("{parameters} parameters, architecture {}", calibration.architecture))),
            ("adapters", Some(adapters.join(", "))),
            ("data", card.data),
            ("license", card.license),
            ("origin", card.provenance),
            ("figures", card.figures),
        ];
        let known = rows.into_iter().filter_map(|(name, value)| value.map(|value| format!("{name:<9} {value}\n")));
        Console::out(&known.collect::<String>())?;
    }
    match fit.base == base.sha256 {
        true => Ok(Exit::Done),
        false => {
            Err(unfit(format!("calibration `{}` was learned on another base model than {}", path.display(), base.name)))
        }
    }
}

fn language(session: &Session, card: &Card) -> Option<String> {
    let task = session.config.catalogue().task(card.task.as_deref()?).ok()?;
    task.language.map(|language| language.name().to_owned())
}

fn check(session: &Session, asked: &[String], model: Option<&str>) -> Result<Exit, Failure> {
    let base = base(session, model)?;
    let paths: Vec<PathBuf> = match asked.is_empty() {
        true => {
            let tasks = session.config.catalogue().examples();
            library(session, &base.name).adapters(&tasks).map_err(unfit)?.into_values().collect()
        }
        false => asked.iter().map(|asked| locate(session, &base, asked)).collect::<Result<_, _>>()?,
    };
    let mut wrong = 0;
    for path in &paths {
        let checked = adapter::read(path).map_err(|error| error.to_string()).and_then(|adapter| {
            let fits = adapter.check(&base.header, base.sha256);
            fits.map_err(|error| format!("adapter `{}` {error}", path.display()))
        });
        match checked {
            Ok(changes) => Console::out(&format!("ok    {} changes {changes} weights\n", path.display()))?,
            Err(problem) => {
                wrong += 1;
                Console::out(&format!("wrong {problem}\n"))?;
            }
        }
    }
    match wrong {
        0 => Ok(Exit::Done),
        _ => Err(unfit(format!("{wrong} of {} adapters cannot be used with {}", paths.len(), base.name))),
    }
}

fn import(
    session: &Session,
    folder: &Path,
    task: &str,
    model: Option<&str>,
    (output, precision): (Option<PathBuf>, Precision),
    told: Card,
) -> Result<Exit, Failure> {
    let task = session.config.catalogue().task(task).map_err(|error| Failure::new(Exit::Usage, error))?;
    let base = base(session, model)?;
    let mut adapter = adapter::import(folder, &base.header).map_err(unfit)?;
    adapter.card = Card {
        task: Some(task.id.clone()),
        base_name: Some(base.name.clone()),
        base_sha256: Some(base.sha256),
        data: told.data,
        license: told.license,
        figures: told.figures,
        ..adapter.card
    };
    let changes = adapter.check(&base.header, base.sha256);
    let changes = changes.map_err(|error| unfit(format!("the adapter in `{}` {error}", folder.display())))?;
    let by_rule = || session.paths.data.join("adapters").join(&base.name).join(format!("{}.gguf", file_stem(&task.id)));
    let output = output.unwrap_or_else(by_rule);
    write(&output, &adapter, precision)?;
    let message = format!("imported {}: changes {changes} weights, written to `{}`", task.id, output.display());
    session.console.note(&message);
    Ok(Exit::Done)
}

fn write(output: &Path, adapter: &Adapter, precision: Precision) -> Result<(), Failure> {
    let failed = |error| Failure::new(Exit::Failed, format!("cannot write `{}`: {error}", output.display()));
    if let Some(folder) = output.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    adapter::write(output, adapter, precision).map_err(failed)
}

fn merge(
    session: &Session,
    asked: &[String],
    (method, weights, calibration): (Method, Vec<f32>, Option<PathBuf>),
    model: Option<&str>,
    (output, precision): (&Path, Precision),
) -> Result<Exit, Failure> {
    let base = base(session, model)?;
    let digests = Digests::in_folder(session.paths.digests());
    let unreadable = |path: &Path, error| unfit(format!("cannot read `{}`: {error}", path.display()));
    #[expect(clippy::cast_precision_loss, reason = "a handful of adapters")]
    let weights = if weights.is_empty() { vec![1.0 / asked.len() as f32; asked.len()] } else { weights };
    if weights.len() != asked.len() {
        let message = format!("{} weights were given for {} adapters", weights.len(), asked.len());
        return Err(Failure::new(Exit::Usage, message));
    }
    let mut ingredients: Vec<Ingredient> = Vec::new();
    for (name, weight) in asked.iter().zip(weights) {
        let path = locate(session, &base, name)?;
        let part = compose::ingredient(&digests, name, &path, weight);
        ingredients.push(part.map_err(|error| unreadable(&path, error))?);
    }
    let calibration = match calibration {
        None => None,
        Some(path) => {
            let sha256 = digests.of_file(&path).map_err(|error| unreadable(&path, error))?;
            Some(CalibrationFile { path, sha256 })
        }
    };
    let recipe = Recipe { ingredients, method, calibration };
    let merged = recipe.compose(&base.header, base.sha256)?;
    write(output, &merged, precision)?;
    let (low, high) = merged.ranks();
    let rank = if low == high { low.to_string() } else { format!("{low} to {high}") };
    session.console.note(&format!(
        "merged {} adapters by {method} into rank {rank}: `{}`",
        asked.len(),
        output.display()
    ));
    Ok(Exit::Done)
}
