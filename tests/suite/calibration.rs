//! Calibrations: applied, they are what the paper's formulas say; a zero one changes nothing; a foreign one is refused.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;

use nfold::adapter::{Adapter, Card, Matrix, module_type};
use nfold::calibration::{self, Calibration, Correction, Fit, FitError};
use nfold::digest::Digest;
use nfold::engine::llama::{Llama, LoadOptions};
use nfold::merge::{Method, Weighted, merge};

use crate::support::{World, tiny};

pub enum Variant {
    Vector,
    LowRank,
    Zero,
}

/// A calibration by hand for all seven module types.
pub fn by_hand(variant: &Variant, fit: Fit) -> Calibration {
    let mut noise = tiny::Noise::new(99);
    let mut corrections = BTreeMap::new();
    for (target, inputs, outputs) in tiny::TARGETS {
        let correction = match variant {
            Variant::Vector => Correction::Vector(noise.matrix(1, outputs, 0.1).data().to_vec()),
            Variant::LowRank => {
                Correction::LowRank { p1: noise.matrix(4, inputs, 0.3), p2: noise.matrix(outputs, 4, 0.3) }
            }
            Variant::Zero => Correction::LowRank { p1: noise.matrix(4, inputs, 0.3), p2: Matrix::zeros(outputs, 4) },
        };
        corrections.insert(module_type(target).unwrap().to_owned(), correction);
    }
    Calibration { architecture: "llama".to_owned(), fit, corrections }
}

pub fn fit() -> Fit {
    Fit {
        combinations: vec!["summarize+translate:es".to_owned()],
        method: Method::Concat,
        weights: vec![0.5, 0.5],
        base: Digest::of(b"base"),
        adapters: BTreeMap::from([
            ("summarize".to_owned(), Digest::of(b"summarize")),
            ("translate:es".to_owned(), Digest::of(b"translate")),
        ]),
    }
}

fn merged() -> Adapter {
    let adapters = [tiny::adapter(1, 4, 8.0), tiny::adapter(2, 4, 2.0)];
    let parts = adapters.each_ref().map(|adapter| Weighted { name: "a", adapter, weight: 0.5 });
    merge(&parts, Method::Concat).unwrap()
}

fn logits(model: &Path, adapter: Option<&Path>) -> Vec<Vec<f32>> {
    let options = LoadOptions { threads: Some(1), gpu_layers: Some(0) };
    let mut engine = Llama::load(model, options, |_| ControlFlow::Continue(())).unwrap();
    engine.logits("Two tasks, one pass.", adapter).unwrap()
}

/// ΔW' by the formula, without going through pairs: ΔW + p · 1ᵀ, or ΔW + P2 · P1.
fn by_formula(delta: &Matrix, correction: &Correction) -> Matrix {
    let mut sum = delta.clone();
    match correction {
        Correction::Vector(p) => {
            sum.add_scaled(&Matrix::column(p.clone()).product(&Matrix::filled(1, delta.columns(), 1.0)), 1.0);
        }
        Correction::LowRank { p1, p2 } => sum.add_scaled(&p2.product(p1), 1.0),
    }
    sum
}

#[test]
fn llama_cpp_with_the_calibrated_adapter_equals_llama_cpp_with_hand_fused_weights() {
    for (variant, rank) in [(Variant::Vector, 9), (Variant::LowRank, 12)] {
        let world = World::new();
        let calibration = by_hand(&variant, fit());
        let merged = merged();
        let calibrated = calibration.apply(merged.clone()).unwrap();
        assert_eq!(calibrated.ranks(), (rank, rank));
        let file = world.write_exact_adapter("calibrated.gguf", &calibrated);
        let mut fused = tiny::weights();
        for target in merged.pairs.keys() {
            let correction = &calibration.corrections[module_type(target).unwrap()];
            let delta = by_formula(&merged.delta_weight(target).unwrap(), correction);
            fused.get_mut(target).unwrap().add_scaled(&delta, 1.0);
        }
        let by_hand = world.path("fused.gguf");
        tiny::write_model(&by_hand, &fused);
        let difference =
            super::merge::largest_difference(&logits(&world.model(), Some(&file)), &logits(&by_hand, None));
        assert!(difference < 1e-4, "rank {rank}: {difference}");
        let without = world.write_exact_adapter("merged.gguf", &merged);
        let change = super::merge::largest_difference(
            &logits(&world.model(), Some(&file)),
            &logits(&world.model(), Some(&without)),
        );
        assert!(change > 0.3, "rank {rank} must change something: {change}");
    }
}

#[test]
fn a_zero_calibration_changes_no_bit() {
    let world = World::new();
    let merged = merged();
    let calibrated = by_hand(&Variant::Zero, fit()).apply(merged.clone()).unwrap();
    assert_eq!(calibrated, merged);
    let one = world.write_exact_adapter("one.gguf", &merged);
    let other = world.write_exact_adapter("other.gguf", &calibrated);
    assert_eq!(logits(&world.model(), Some(&one)), logits(&world.model(), Some(&other)));
}

#[test]
fn files_read_back_and_parameters_are_the_papers() {
    let world = World::new();
    for variant in [Variant::Vector, Variant::LowRank] {
        let calibration = by_hand(&variant, fit());
        let path = world.path("calibration.gguf");
        calibration::write(&path, &calibration, &Card::default()).unwrap();
        assert_eq!(calibration::read(&path).unwrap(), calibration);
        let sums: usize = match variant {
            Variant::Vector => tiny::TARGETS.iter().map(|(_, _, outputs)| outputs).sum(),
            _ => tiny::TARGETS.iter().map(|(_, inputs, outputs)| 4 * (inputs + outputs)).sum(),
        };
        assert_eq!(calibration.parameters(), sums);
    }
}

#[test]
fn one_made_for_something_else_is_refused() {
    let calibration = by_hand(&Variant::Vector, fit());
    let adapters = |second: &[u8]| {
        vec![("summarize".to_owned(), Digest::of(b"summarize")), ("translate:es".to_owned(), Digest::of(second))]
    };
    let check = |combination: &str, base: &[u8], second: &[u8]| {
        calibration.check(combination, Digest::of(base), &adapters(second))
    };
    assert_eq!(check("summarize+translate:es", b"base", b"translate"), Ok(()));
    assert!(matches!(check("reply+translate:es", b"base", b"translate"), Err(FitError::Combination { .. })));
    assert!(matches!(check("summarize+translate:es", b"other", b"translate"), Err(FitError::Base { .. })));
    assert!(matches!(check("summarize+translate:es", b"base", b"retrained"), Err(FitError::Adapter { .. })));
    let mut wrong = calibration.clone();
    wrong.corrections.insert("attn_v".to_owned(), Correction::Vector(vec![0.1; 7]));
    assert!(matches!(wrong.apply(merged()), Err(FitError::Shape { .. })));
    wrong.corrections.insert("attn_x".to_owned(), Correction::Vector(vec![0.1; 7]));
    assert!(matches!(wrong.apply(merged()), Err(FitError::NoModule { .. })));
}

#[test]
fn broken_files_say_what_is_broken() {
    use nfold::gguf::{Data, Value, Writer};
    let world = World::new();
    let good = world.path("good.gguf");
    calibration::write(&good, &by_hand(&Variant::Vector, fit()), &Card::default()).unwrap();
    let bytes = std::fs::read(&good).unwrap();
    for length in (0..bytes.len()).step_by(13) {
        let cut = world.write("cut.gguf", &bytes[..length]);
        assert!(calibration::read(&cut).is_err(), "cut to {length}");
    }
    let write = |weights: &str, tensors: &[(&str, &[u64], Vec<f32>)]| {
        let mut writer = Writer::new();
        let mut set = |key: &str, text: &str| writer.set(key, Value::String(text.to_owned()));
        set("general.type", "calibration");
        set("general.architecture", "llama");
        set("nfold.calibration.combinations", "a+b");
        set("nfold.calibration.method", "concat");
        set("nfold.calibration.weights", weights);
        set("nfold.calibration.base.sha256", &"0".repeat(64));
        for (name, shape, data) in tensors {
            writer.tensor(*name, shape, Data::F32(data));
        }
        let mut bytes = Vec::new();
        writer.write(&mut bytes).unwrap();
        calibration::read(&world.write("odd.gguf", bytes)).map_or_else(|error| error.to_string(), |_| String::new())
    };
    assert_eq!(write("0.5,0.5", &[("p.attn_q", &[2], vec![0.0; 2])]), "");
    assert!(write("0.5,0.5", &[]).contains("corrects nothing"));
    assert!(write("0.5,x", &[("p.attn_q", &[2], vec![0.0; 2])]).contains("`x` is no weight"));
    assert!(write("1", &[("p1.attn_q", &[2, 4], vec![0.0; 8])]).contains("must come together"));
    assert!(write("1", &[("q.attn_q", &[2], vec![0.0; 2])]).contains("`q.attn_q`"));
    assert!(write("1", &[("p.attn_q", &[2], vec![f32::NAN; 2])]).contains("not finite"));
    let ranks = [("p1.a", &[2, 4][..], vec![0.0; 8]), ("p2.a", &[2, 3], vec![0.0; 6])];
    assert!(write("1", &ranks).contains("rank 4"));
}
