//! `nfold train`: adapters and calibrations.

mod distil;
mod examples;
mod progress;
mod trainer;

use std::collections::BTreeMap;
use std::path::Path;

use crate::adapter::{self, Adapter, Card, Precision};
use crate::calibration::{self, Calibration, Fit};
use crate::compose::Recipe;
use crate::engine::llama::{Llama, LoadOptions};
use crate::library::{self, file_stem};
use crate::merge;
use crate::plan::{Ask, Plan};
use crate::strategy::Method;
use crate::train::{Outcome, Shape, Start};

use super::Session;
use super::args::train::{AdapterArgs, CalibrationArgs, Origin, TrainCommand, Training, Variant};
use super::exit::{Exit, Failure};

use examples::Reader;
use trainer::{Trainer, figures};

pub(super) fn run(session: &Session, command: &TrainCommand) -> Result<Exit, Failure> {
    match command {
        TrainCommand::Adapter(args) => adapter(session, args),
        TrainCommand::Calibration(args) => calibration(session, args),
    }
}

fn adapter(session: &Session, args: &AdapterArgs) -> Result<Exit, Failure> {
    let training = &args.training;
    let plan = plan(session, training, std::slice::from_ref(&args.task), Method::Prompt, &[])?;
    let (start, shape) = match &args.init {
        None => {
            let rank = args.rank.unwrap_or(16);
            let alpha = args.alpha.unwrap_or(2.0 * f32::from(rank));
            (None, Shape::Adapter { rank: usize::from(rank), alpha })
        }
        Some(path) => {
            let (start, shape) = begin_from(path, args.rank, &plan)?;
            (Some(start), shape)
        }
    };
    let trainer = Trainer::new(session, training, &plan, &file_stem(&plan.combination))?;
    let engine = load(session, &plan, training.threads)?;
    let mut reader = Reader::new(session, training, &engine);
    let group = reader.group(&plan, None, &training.data)?;
    let data = reader.finish();
    drop(engine);
    let groups = [group];
    let outcome = trainer.learn(shape, start.as_ref().map(Start::Adapter), &groups, 4e-4)?;
    let before = start.as_ref().and_then(|start| start.card.data.as_deref());
    let data = begun_from(data, "an adapter", before);
    let card = Card {
        task: Some(plan.combination.clone()),
        base_name: Some(plan.base.name.clone()),
        base_sha256: Some(plan.base.sha256),
        data: Some(data),
        license: training.license.clone(),
        provenance: Some(trainer.provenance("adapter", shape, &outcome)),
        figures: Some(figures(&outcome)),
    };
    let Some(learned) = outcome.adapter(&plan.base.header.architecture, shape, card) else {
        return Ok(Exit::Failed);
    };
    trainer.write(&outcome, |path| adapter::write(path, &learned, Precision::F16))
}

fn calibration(session: &Session, args: &CalibrationArgs) -> Result<Exit, Failure> {
    let training = &args.training;
    if args.tasks.len() > 1 && !args.shared {
        return Err(Failure::new(Exit::Usage, "several combinations share one calibration only with `--shared`"));
    }
    if args.tasks.len() > 1 && args.from == Origin::MultiStep {
        return Err(Failure::new(Exit::Usage, "`--from multi-step` learns from one combination at a time"));
    }
    let method = if args.method == merge::Method::Linear { Method::Linear } else { Method::Concat };
    let mut plans = Vec::new();
    for task in &args.tasks {
        plans.push(plan(session, training, std::slice::from_ref(task), method, &args.weights)?);
    }
    let recipes: Vec<Recipe> = plans.iter().filter_map(|plan| plan.passes[0].recipe.clone()).collect();
    let kind = match (args.variant, args.shared) {
        (Variant::LowRank, false) => library::Variant::LowRank,
        (Variant::Vector, false) => library::Variant::Vector,
        (Variant::LowRank, true) => library::Variant::SharedLowRank,
        (Variant::Vector, true) => library::Variant::SharedVector,
    };
    let stem = format!("calibrations/{}", kind.file_stem(&plans[0].combination));
    let trainer = Trainer::new(session, training, &plans[0], &stem)?;
    let mut engine = load(session, &plans[0], training.threads)?;
    let mut data = training.data.clone();
    if args.from == Origin::MultiStep {
        let steps = plan(session, training, &args.tasks, Method::MultiStep, &[])?;
        let kept = trainer.beside("distilled.jsonl");
        data = vec![distil::distil(session, &mut engine, &steps, training, &kept)?];
    }
    let mut reader = Reader::new(session, training, &engine);
    let mut groups = Vec::new();
    for (plan, recipe) in plans.iter().zip(&recipes) {
        let merged = recipe.compose(&plan.base.header, plan.base.sha256)?;
        groups.push(reader.group(plan, Some(merged), &data)?);
    }
    let read = reader.finish();
    drop(engine);
    let shape = match args.variant {
        Variant::Vector => Shape::Vector,
        Variant::LowRank => Shape::LowRank { rank: usize::from(args.rank) },
    };
    let unfit = |error| Failure::new(Exit::Unfit, error);
    let (start, before) = match &args.init {
        None => (None, None),
        Some(path) => {
            (Some(calibration::read(path).map_err(unfit)?), calibration::read_card(path).map_err(unfit)?.data)
        }
    };
    let start = start.as_ref().map(|start| Start::Corrections(&start.corrections));
    let outcome = trainer.learn(shape, start, &groups, 3e-3)?;
    let learned = learned(args.method, &plans, &recipes, &outcome);
    let card = Card {
        base_name: Some(plans[0].base.name.clone()),
        data: Some(begun_from(read, "a calibration", before.as_deref())),
        license: training.license.clone(),
        provenance: Some(trainer.provenance("calibration", shape, &outcome)),
        figures: Some(figures(&outcome)),
        ..Card::default()
    };
    trainer.write(&outcome, |path| calibration::write(path, &learned, &card))
}

/// What a result was learned from, with what it was begun from.
fn begun_from(data: String, what: &str, before: Option<&str>) -> String {
    match before {
        None => data,
        Some(before) => format!("{data}; begun from {what} of: {before}"),
    }
}

/// The corrections, with all that they fit.
fn learned(method: merge::Method, plans: &[Plan], recipes: &[Recipe], outcome: &Outcome) -> Calibration {
    let ingredients = recipes.iter().flat_map(|recipe| &recipe.ingredients);
    Calibration {
        architecture: plans[0].base.header.architecture.clone(),
        fit: Fit {
            combinations: plans.iter().map(|plan| plan.combination.clone()).collect(),
            method,
            weights: recipes[0].ingredients.iter().map(|part| part.weight).collect(),
            base: plans[0].base.sha256,
            adapters: ingredients.map(|part| (part.name.clone(), part.sha256)).collect::<BTreeMap<_, _>>(),
        },
        corrections: outcome.corrections(),
    }
}

/// The plan of a run with these tasks: it names the base model, the prompt, and for a merge the recipe.
fn plan(
    session: &Session,
    training: &Training,
    tasks: &[String],
    method: Method,
    weights: &[f32],
) -> Result<Plan, Failure> {
    let asked = Ask::of(&session.config, training.model.as_deref());
    let ask = Ask { tasks: tasks.to_vec(), method, weights: weights.to_vec(), ..asked };
    Ok(Plan::resolve(&ask, &session.config, &session.paths)?)
}

/// An adapter to go on from, which has one rank throughout, and the shape to go on in: a larger rank keeps its scaling.
#[expect(clippy::cast_precision_loss, reason = "ranks are small")]
fn begin_from(path: &Path, rank: Option<u16>, plan: &Plan) -> Result<(Adapter, Shape), Failure> {
    let unfit = |problem: String| Failure::new(Exit::Unfit, format!("adapter `{}` {problem}", path.display()));
    let start = adapter::read(path).map_err(|error| Failure::new(Exit::Unfit, error))?;
    start.check(&plan.base.header, plan.base.sha256).map_err(|error| unfit(error.to_string()))?;
    let (low, high) = start.ranks();
    if low != high {
        return Err(unfit(format!("has ranks from {low} to {high}; training goes on only where there is one rank")));
    }
    let rank = rank.map_or(low, usize::from);
    if rank < low {
        return Err(unfit(format!("has rank {low}, and `--rank {rank}` would cut it; ask for more or leave it out")));
    }
    let scaling = start.pairs.values().next().map_or(1.0, |pair| start.scaling(pair));
    let shape = Shape::Adapter { rank, alpha: scaling * rank as f32 };
    Ok((start, shape))
}

/// The model in llama.cpp, which makes tokens of texts as runs will, and runs multi-step.
fn load(session: &Session, plan: &Plan, threads: usize) -> Result<Llama, Failure> {
    let go_on = |_| std::ops::ControlFlow::Continue(());
    let options = LoadOptions { threads: Some(threads).filter(|threads| *threads > 0), gpu_layers: Some(0) };
    Ok(Llama::load(&plan.base.to_load(&session.paths), options, go_on)?)
}
