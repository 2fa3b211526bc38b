//! The algebra of merging, against PEFT's own output and against llama.cpp running fused weights.

use std::ops::ControlFlow;
use std::path::Path;

use nfold::adapter::{Adapter, Matrix};
use nfold::engine::llama::{Llama, LoadOptions};
use nfold::merge::{MergeError, Method, Weighted, merge};
use proptest::prelude::*;

use crate::support::{World, data, tiny};

fn parts<'a>(adapters: &'a [Adapter], weights: &[f32]) -> Vec<Weighted<'a>> {
    adapters.iter().zip(weights).map(|(adapter, weight)| Weighted { name: "a", adapter, weight: *weight }).collect()
}

fn merged(adapters: &[Adapter], weights: &[f32], method: Method) -> Adapter {
    merge(&parts(adapters, weights), method).unwrap()
}

/// The largest difference between two matrices, as a share of the largest number in the second.
fn distance(found: &Matrix, expected: &Matrix) -> f32 {
    let largest = |numbers: &mut dyn Iterator<Item = f32>| numbers.fold(0f32, |max, number| max.max(number.abs()));
    let difference = largest(&mut found.data().iter().zip(expected.data()).map(|(a, b)| a - b));
    difference / largest(&mut expected.data().iter().copied()).max(1e-6)
}

/// The weighted sum of the delta weights of one target.
fn sum_of_deltas(adapters: &[Adapter], weights: &[f32], target: &str) -> Matrix {
    let deltas = adapters.iter().map(|adapter| adapter.delta_weight(target).unwrap());
    let mut deltas = deltas.zip(weights).map(|(delta, weight)| delta.scaled(*weight));
    let first = deltas.next().unwrap();
    deltas.fold(first, |mut sum, delta| {
        sum.add_scaled(&delta, 1.0);
        sum
    })
}

fn small(seed: u64, rank: usize, alpha: f32) -> Adapter {
    let mut adapter = tiny::adapter(seed, rank, alpha);
    adapter.pairs.retain(|target, _| target.contains("attn_v"));
    adapter
}

const TARGET: &str = "blk.0.attn_v.weight";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn concat_is_the_exact_sum(seed in 0u64..1000, ranks in proptest::collection::vec(1usize..6, 1..4), weights in proptest::collection::vec(-2f32..2.0, 3)) {
        let adapters: Vec<Adapter> = ranks.iter().zip(seed..).map(|(rank, seed)| small(seed, *rank, 4.0)).collect();
        let weights = &weights[..adapters.len()];
        let found = merged(&adapters, weights, Method::Concat);
        prop_assert_eq!(found.ranks().0, ranks.iter().sum::<usize>());
        prop_assert!(distance(&found.delta_weight(TARGET).unwrap(), &sum_of_deltas(&adapters, weights, TARGET)) < 1e-4);
    }

    #[test]
    fn weights_one_and_zero_give_the_first_adapter(seed in 0u64..1000, alpha in 0f32..32.0) {
        let adapters = [small(seed, 4, alpha), small(seed + 1, 4, 8.0)];
        for method in Method::ALL {
            let found = merged(&adapters, &[1.0, 0.0], method).delta_weight(TARGET).unwrap();
            prop_assert!(distance(&found, &adapters[0].delta_weight(TARGET).unwrap()) < 1e-5, "{}", method);
        }
    }

    #[test]
    fn order_does_not_matter_and_weights_scale(seed in 0u64..1000, weight in 0.1f32..2.0) {
        let (first, second) = (small(seed, 4, 8.0), small(seed + 1, 4, 2.0));
        for method in Method::ALL {
            let one = merged(&[first.clone(), second.clone()], &[weight, 0.5], method).delta_weight(TARGET).unwrap();
            let other = merged(&[second.clone(), first.clone()], &[0.5, weight], method).delta_weight(TARGET).unwrap();
            prop_assert!(distance(&one, &other) < 1e-5, "{} order", method);
            let double = merged(&[first.clone(), second.clone()], &[2.0 * weight, 1.0], method).delta_weight(TARGET).unwrap();
            prop_assert!(distance(&double, &one.scaled(2.0)) < 1e-5, "{} scale", method);
        }
    }
}

#[test]
fn a_negative_weight_subtracts() {
    let adapters = [small(1, 4, 8.0)];
    for method in Method::ALL {
        let found = merged(&adapters, &[-0.5], method).delta_weight(TARGET).unwrap();
        assert!(distance(&found, &adapters[0].delta_weight(TARGET).unwrap().scaled(-0.5)) < 1e-5, "{method}");
    }
}

#[test]
fn linear_has_cross_terms() {
    let adapters = [small(1, 4, 4.0), small(2, 4, 4.0)];
    let found = merged(&adapters, &[1.0, 1.0], Method::Linear).delta_weight(TARGET).unwrap();
    assert!(distance(&found, &sum_of_deltas(&adapters, &[1.0, 1.0], TARGET)) > 0.1);
}

#[test]
fn what_cannot_be_merged_says_why() {
    let adapters = [small(1, 4, 4.0), small(2, 8, 4.0)];
    let error = merge(&parts(&adapters, &[1.0, 1.0]), Method::Linear).unwrap_err();
    assert!(error.to_string().contains("use `concat`"), "{error}");
    assert_eq!(merge(&[], Method::Concat), Err(MergeError::Empty));
    let error = merge(&parts(&adapters, &[1.0, f32::NAN]), Method::Concat).unwrap_err();
    assert!(matches!(error, MergeError::Weight { .. }));
    let other = Adapter { architecture: "qwen2".to_owned(), ..small(2, 4, 4.0) };
    let error = merge(&parts(&[small(1, 4, 4.0), other], &[1.0, 1.0]), Method::Concat).unwrap_err();
    assert!(matches!(error, MergeError::Architecture { .. }));
}

/// Factors of two adapters and of PEFT's own merges of them; see `tests/data/peft/make.py`.
#[test]
fn merges_equal_pefts() {
    #[derive(serde::Deserialize)]
    struct Case {
        method: String,
        weights: Vec<f32>,
        delta: Vec<Vec<f32>>,
    }
    let (header, _) = crate::suite::peft::fixture_model();
    let folder = |name: &str| data("peft").join(name);
    let adapters = ["first", "second"].map(|name| nfold::adapter::import(&folder(name), &header).unwrap());
    let cases: Vec<Case> = serde_json::from_slice(&std::fs::read(data("peft/merges.json")).unwrap()).unwrap();
    assert!(cases.len() >= 6);
    for case in cases {
        let method = if case.method == "cat" { Method::Concat } else { case.method.parse().unwrap() };
        let found = merged(&adapters, &case.weights, method).delta_weight("blk.0.attn_v.weight").unwrap();
        let rows = case.delta.len();
        let expected = Matrix::new(rows, case.delta[0].len(), case.delta.concat()).unwrap();
        assert!(distance(&found, &expected) < 1e-5, "{} {:?}", case.method, case.weights);
    }
}

fn logits(model: &Path, adapter: Option<&Path>) -> Vec<Vec<f32>> {
    let options = LoadOptions { threads: Some(1), gpu_layers: Some(0) };
    let mut engine = Llama::load(model, options, |_| ControlFlow::Continue(())).unwrap();
    engine.logits("Fold once, read twice.", adapter).unwrap()
}

pub fn largest_difference(found: &[Vec<f32>], expected: &[Vec<f32>]) -> f32 {
    let pairs = found.iter().flatten().zip(expected.iter().flatten());
    pairs.fold(0f32, |max, (a, b)| max.max((a - b).abs()))
}

#[test]
fn llama_cpp_with_the_merged_adapter_equals_llama_cpp_with_fused_weights() {
    let world = World::new();
    let base = logits(&world.model(), None);
    let adapters = [tiny::adapter(1, 4, 8.0), tiny::adapter(2, 4, 2.0)];
    for method in Method::ALL {
        let merged = merged(&adapters, &[0.7, 0.4], method);
        let file = world.write_exact_adapter(&format!("{method}.gguf"), &merged);
        let fused = world.path(&format!("fused-{method}.gguf"));
        tiny::write_model(&fused, &tiny::fuse(&tiny::weights(), &nfold::adapter::read(&file).unwrap(), 1.0));
        let (with, without) = (logits(&world.model(), Some(&file)), logits(&fused, None));
        assert!(largest_difference(&with, &base) > 0.5, "{method}: the adapter must change something");
        assert!(largest_difference(&with, &without) < 1e-4, "{method}");
    }
}
