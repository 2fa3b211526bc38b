//! Learning: the same mathematics as llama.cpp and PyTorch, and what a training promises.
#![cfg(feature = "train")]

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;

use nfold::adapter::{self, Adapter, Card};
use nfold::engine::llama::{Llama, LoadOptions};
use nfold::gguf::{self, TensorType};
use nfold::model::weights;
use nfold::train::{
    self, Base, CheckpointError, End, Event, Example, ExampleWeight, Group, Job, Optimizer, Outcome, Settings, Shape,
    Start, TrainError,
};

use crate::support::tiny::Layout;
use crate::support::{World, data, smollm2, tiny};

const TEXT: &str = "Fold once, read twice: the letter says more than it holds.";

fn engine(path: &Path) -> Llama {
    let options = LoadOptions { threads: Some(1), gpu_layers: Some(0) };
    Llama::load(path, options, |_| ControlFlow::Continue(())).unwrap()
}

fn base(path: &Path) -> Base {
    Base::read(path, &train::device()).unwrap()
}

#[test]
fn logits_equal_llama_cpps() {
    let world = World::new();
    let plain = Layout { architecture: "llama", layers: 1, kv_heads: 2, biases: false, tied: false };
    let layouts = [
        plain,
        Layout { layers: 3, kv_heads: 1, tied: true, ..plain },
        Layout { architecture: "qwen2", layers: 2, kv_heads: 1, biases: true, ..plain },
    ];
    for layout in layouts {
        let path = world.path("layout.gguf");
        layout.write(&path);
        let mut engine = engine(&path);
        let expected = engine.logits(TEXT, None).unwrap();
        let found = train::logits(&base(&path), &engine.text_tokens(TEXT)).unwrap();
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(&expected) {
            let difference = found.iter().zip(expected).fold(0f32, |most, (a, b)| most.max((a - b).abs()));
            assert!(difference < 1e-4, "{layout:?}: logits differ by {difference}");
        }
    }
}

#[test]
fn smollm2_diverges_from_llama_cpp_by_its_quantised_activations_only() {
    let path = smollm2();
    let base = base(&path);
    // The numbers of parameters that the paper's formulas give for this model.
    for (shape, parameters) in [
        (Shape::Vector, 5_184),
        (Shape::LowRank { rank: 4 }, 40_704),
        (Shape::Adapter { rank: 8, alpha: 16.0 }, 2_442_240),
    ] {
        assert_eq!(train::parameters(shape, &base), parameters);
    }
    let world = World::new();
    let copy = weights::to_load(&path, world.base().1, world.folder());
    assert_ne!(copy, path);
    let exact = world.path("f32.gguf");
    let mut model = gguf::File::open(&path).unwrap();
    model.write_with(|_| TensorType::F32, &mut fs::File::create(&exact).unwrap()).unwrap();
    let text = fs::read_to_string(data("sample.txt")).unwrap();
    let found = train::logits(&base, &engine(&path).text_tokens(&text)).unwrap();
    // With the same weights in F32, llama.cpp computes what training computes. With quantised ones it rounds activations to 8
    // bits before each product; training does not.
    for (path, limit) in [(exact, 1e-8), (path, 5e-3), (copy, 5e-3)] {
        let expected = engine(&path).logits(&text, None).unwrap();
        let sum: f64 = found.iter().zip(&expected).map(|(found, expected)| divergence(found, expected)).sum();
        let mean = sum / f64::from(u32::try_from(found.len()).unwrap());
        println!("{}: {mean} nats a token", path.display());
        assert!(mean < limit, "{}: KL {mean} nats a token", path.display());
    }
}

/// Σ p · ln(p / q) of two rows of logits, in nats.
fn divergence(p: &[f32], q: &[f32]) -> f64 {
    let normalised = |logits: &[f32]| -> Vec<f64> {
        let largest = logits.iter().copied().fold(f32::MIN, f32::max);
        let sum: f64 = logits.iter().map(|logit| f64::from(logit - largest).exp()).sum();
        logits.iter().map(|logit| f64::from(logit - largest) - sum.ln()).collect()
    };
    normalised(p).iter().zip(normalised(q)).map(|(p, q)| p.exp() * (p - q)).sum()
}

fn settings(steps: u64) -> Settings {
    Settings {
        seed: 3,
        steps,
        batch_tokens: 64,
        optimizer: Optimizer { learning_rate: 3e-2, warmup: 2, weight_decay: 0.0, clip: 1.0 },
        evaluations: 2,
        patience: 0,
        time_limit: None,
    }
}

/// Examples that can be learned: every letter is answered by itself, three times.
fn examples(letters: std::ops::Range<u32>) -> Vec<Example> {
    let one = |letter| Example {
        prompt: vec![1, 3 + letter],
        output: vec![3 + letter, 3 + letter, 3 + letter, 2],
        weight: ExampleWeight(1000),
    };
    letters.map(one).collect()
}

fn group(merged: Option<Adapter>) -> Group {
    Group { merged, examples: examples(97..117), dev: examples(100..106) }
}

fn learn(base: &Base, shape: Shape, groups: &[Group], settings: &Settings) -> Outcome {
    let job = Job { base, shape, start: None, groups, settings, checkpoint: None, resume: false };
    train::learn(&job, &mut |_| ControlFlow::Continue(())).unwrap()
}

const SMALL: Shape = Shape::Adapter { rank: 2, alpha: 4.0 };

fn as_adapter(outcome: &Outcome, shape: Shape) -> Adapter {
    outcome.adapter("llama", shape, Card::default()).unwrap()
}

#[derive(serde::Deserialize)]
struct Fixture {
    loss: f64,
    examples: Vec<Tokens>,
}

#[derive(serde::Deserialize)]
struct Tokens {
    prompt: Vec<u32>,
    output: Vec<u32>,
}

#[test]
fn gradients_equal_pytorchs() {
    let world = World::new();
    let (header, _) = world.base();
    let fixture: Fixture = serde_json::from_slice(&fs::read(data("train/loss.json")).unwrap()).unwrap();
    let start = adapter::import(&data("peft/first"), &header).unwrap();
    let expected = adapter::import(&data("train/gradients"), &header).unwrap();
    let example =
        |tokens: Tokens| Example { prompt: tokens.prompt, output: tokens.output, weight: ExampleWeight(1000) };
    let examples: Vec<Example> = fixture.examples.into_iter().map(example).collect();
    let groups = [Group { merged: None, dev: examples.clone(), examples }];
    let settings = Settings { batch_tokens: 10_000, ..settings(1) };
    let shape = Shape::Adapter { rank: 4, alpha: start.alpha };
    let base = base(&world.model());
    let job = Job {
        base: &base,
        shape,
        start: Some(Start::Adapter(&start)),
        groups: &groups,
        settings: &settings,
        checkpoint: None,
        resume: false,
    };
    let (loss, found) = train::gradients(&job).unwrap();
    assert!((loss - fixture.loss).abs() < 1e-5, "loss {loss}, PyTorch's {}", fixture.loss);
    assert_eq!(found.len(), 14);
    for (target, pair) in &expected.pairs {
        let weight = target.strip_suffix(".weight").unwrap();
        for (factor, expected) in [("a", &pair.a), ("b", &pair.b)] {
            let found = &found[&format!("{weight}.{factor}")];
            let largest = expected.data().iter().fold(0f32, |most, number| most.max(number.abs()));
            assert!(largest > 1e-3, "{weight}.{factor} has no gradient to speak of");
            let difference = found.iter().zip(expected.data()).fold(0f32, |most, (a, b)| most.max((a - b).abs()));
            assert!(difference < 1e-4 * largest.max(1.0), "{weight}.{factor} differs by {difference}");
        }
    }
}

#[test]
fn a_shared_corrections_gradient_is_the_slope_of_the_loss() {
    let world = World::new();
    let path = world.path("layers.gguf");
    Layout { architecture: "llama", layers: 3, kv_heads: 1, biases: false, tied: true }.write(&path);
    let base = base(&path);
    for shape in [Shape::Vector, Shape::LowRank { rank: 4 }] {
        let groups = [Group { dev: group(None).examples, ..group(None) }];
        let rate = 1e-4;
        let one = settings(1);
        let settings = Settings {
            batch_tokens: 10_000,
            optimizer: Optimizer { learning_rate: rate, warmup: 1, ..one.optimizer },
            ..one
        };
        let job = Job {
            base: &base,
            shape,
            start: None,
            groups: &groups,
            settings: &settings,
            checkpoint: None,
            resume: false,
        };
        let (before, gradients) = train::gradients(&job).unwrap();
        let outcome = learn(&base, shape, &groups, &settings);
        // Adam's first step moves each number by the rate against its gradient's sign; factors whose partner is zero have none.
        let slope: f64 = gradients.values().flatten().map(|gradient| f64::from(gradient.abs())).sum();
        let fell = outcome.start_loss - outcome.best_loss;
        let expected = slope * f64::from(rate);
        assert!((fell / expected - 1.0).abs() < 0.1, "{shape:?}: fell by {fell}, expected {expected} from {before}");
    }
}

#[test]
fn the_loss_falls_and_the_same_seed_gives_the_same_numbers() {
    let world = World::new();
    let base = base(&world.model());
    let settings = settings(30);
    let first = learn(&base, SMALL, &[group(None)], &settings);
    assert_eq!((first.end, first.steps), (End::Steps, 30));
    assert!(first.best_loss < first.start_loss - 0.5, "{} to {}", first.start_loss, first.best_loss);
    let again = learn(&base, SMALL, &[group(None)], &settings);
    assert_eq!(as_adapter(&first, SMALL), as_adapter(&again, SMALL));
    let other = learn(&base, SMALL, &[group(None)], &Settings { seed: 4, ..settings });
    assert_ne!(as_adapter(&first, SMALL), as_adapter(&other, SMALL));
}

#[test]
fn llama_cpp_runs_what_was_learned_as_training_saw_it() {
    let world = World::new();
    let base = base(&world.model());
    let outcome = learn(&base, SMALL, &[group(None)], &settings(30));
    let file = world.write_exact_adapter("learned.gguf", &as_adapter(&outcome, SMALL));
    let mut engine = engine(&world.model());
    let loss = |engine: &mut Llama, adapter: Option<&Path>| {
        // BOS, a space and a letter; what follows should be the letter again.
        let logits = engine.logits("aa", adapter).unwrap();
        let last = &logits[2];
        -divergence_to(last, 3 + 97)
    };
    let (before, after) = (loss(&mut engine, None), loss(&mut engine, Some(&file)));
    assert!(after < before - 0.5, "loss {before} became {after}");
}

/// The logarithm of a token's probability.
fn divergence_to(logits: &[f32], token: usize) -> f64 {
    let largest = logits.iter().copied().fold(f32::MIN, f32::max);
    let sum: f64 = logits.iter().map(|logit| f64::from(logit - largest).exp()).sum();
    f64::from(logits[token] - largest) - sum.ln()
}

#[test]
fn no_steps_change_nothing() {
    let world = World::new();
    let base = base(&world.model());
    let outcome = learn(&base, SMALL, &[group(None)], &settings(0));
    assert_eq!(outcome.start_loss, outcome.best_loss);
    assert!(as_adapter(&outcome, SMALL).pairs.values().all(|pair| pair.b.data().iter().all(|number| *number == 0.0)));
}

#[test]
fn calibrations_have_the_papers_number_of_parameters_and_lower_the_loss() {
    let world = World::new();
    let base = base(&world.model());
    // Σ d_out and 4 · Σ (d_in + d_out) over q, k, v, output (32 → 32), gate, up (32 → 64), down (64 → 32).
    for (shape, parameters) in [(Shape::Vector, 5 * 32 + 2 * 64), (Shape::LowRank { rank: 4 }, 4 * (4 * 64 + 3 * 96))] {
        assert_eq!(train::parameters(shape, &base), parameters);
        let outcome = learn(&base, shape, &[group(Some(tiny::adapter(5, 2, 1.0)))], &settings(30));
        assert_eq!(outcome.parameters(), parameters);
        assert_eq!(outcome.corrections().len(), 7);
        assert!(
            outcome.best_loss < outcome.start_loss - 0.1,
            "{shape:?}: {} to {}",
            outcome.start_loss,
            outcome.best_loss
        );
        assert!(outcome.adapter("llama", shape, Card::default()).is_none());
    }
}

#[test]
fn a_merged_adapter_is_part_of_the_frozen_model() {
    let world = World::new();
    let merged = tiny::adapter(5, 2, 1.0);
    let fused = world.path("fused.gguf");
    tiny::write_model(&fused, &tiny::fuse(&tiny::weights(), &merged, 1.0));
    let beside = learn(&base(&world.model()), Shape::Vector, &[group(Some(merged))], &settings(0));
    let within = learn(&base(&fused), Shape::Vector, &[group(None)], &settings(0));
    assert!((beside.start_loss - within.start_loss).abs() < 1e-5, "{} {}", beside.start_loss, within.start_loss);
}

#[test]
fn a_resumed_training_ends_as_an_uninterrupted_one() {
    let world = World::new();
    let base = base(&world.model());
    let (settings, groups, path) = (settings(20), [group(None)], world.path("out.checkpoint"));
    let whole = learn(&base, SMALL, &groups, &settings);
    let job = |resume| Job {
        base: &base,
        shape: SMALL,
        start: None,
        groups: &groups,
        settings: &settings,
        checkpoint: Some((&path, Duration::from_hours(1))),
        resume,
    };
    let half = train::learn(&job(false), &mut |event| match event {
        Event::Step { step: 9, .. } => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    assert_eq!(half.unwrap().end, End::Cancelled);
    let rest = train::learn(&job(true), &mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!((rest.steps, rest.tokens), (whole.steps, whole.tokens));
    assert_eq!(as_adapter(&rest, SMALL), as_adapter(&whole, SMALL));
    assert_eq!((rest.start_loss, rest.best_loss), (whole.start_loss, whole.best_loss));
    // Another training's checkpoint is refused, and so is half of one.
    let other = Settings { seed: 9, ..settings.clone() };
    let refused = train::learn(&Job { settings: &other, ..job(true) }, &mut |_| ControlFlow::Continue(()));
    assert!(matches!(refused, Err(TrainError::Checkpoint(CheckpointError::Other { .. }))));
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let refused = train::learn(&job(true), &mut |_| ControlFlow::Continue(()));
    assert!(matches!(refused, Err(TrainError::Checkpoint(CheckpointError::Damaged { .. }))));
}

#[test]
fn early_stopping_keeps_the_best() {
    let world = World::new();
    let base = base(&world.model());
    let wild = Settings {
        patience: 2,
        evaluations: 20,
        optimizer: Optimizer { learning_rate: 3.0, warmup: 1, weight_decay: 0.0, clip: 1.0 },
        ..settings(40)
    };
    let outcome = learn(&base, SMALL, &[group(None)], &wild);
    assert_eq!(outcome.end, End::EarlyStop);
    assert!(outcome.best_loss <= outcome.start_loss && outcome.steps < 40);
}

#[test]
fn a_loss_that_is_not_finite_ends_the_training() {
    let world = World::new();
    let base = base(&world.model());
    let broken = BTreeMap::from([("blk.0.attn_v.weight", f32::NAN)]);
    let mut merged = tiny::adapter(5, 2, 1.0);
    for (target, number) in broken {
        let pair = merged.pairs.get_mut(target).unwrap();
        pair.a = adapter::Matrix::filled(2, 32, number);
    }
    let (groups, settings) = ([group(Some(merged))], settings(3));
    let job = Job {
        base: &base,
        shape: Shape::Vector,
        start: None,
        groups: &groups,
        settings: &settings,
        checkpoint: None,
        resume: false,
    };
    let failed = train::learn(&job, &mut |_| ControlFlow::Continue(())).unwrap_err();
    assert!(failed.to_string().contains("not a finite number at step 0"), "{failed}");
}
