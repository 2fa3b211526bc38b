//! Importing PEFT folders, against the logits that Hugging Face's code gives with the same adapters.

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;

use nfold::adapter::import;
use nfold::engine::llama::{Llama, LoadOptions};
use nfold::model::BaseModel;

use crate::support::{World, data, tiny};

/// The header of the model that the fixtures were made on.
pub fn fixture_model() -> (BaseModel, World) {
    let world = World::new();
    (world.base().0, world)
}

#[test]
fn imported_adapters_give_hugging_faces_logits() {
    let (header, world) = fixture_model();
    let expected: BTreeMap<String, Vec<f32>> =
        serde_json::from_slice(&fs::read(data("peft/logits.json")).unwrap()).unwrap();
    assert_eq!(expected.len(), 3);
    let options = LoadOptions { threads: Some(1), gpu_layers: Some(0) };
    let mut engine = Llama::load(&world.model(), options, |_| ControlFlow::Continue(())).unwrap();
    for (name, expected) in expected {
        let adapter = import(&data("peft").join(&name), &header).unwrap();
        let file = world.write_exact_adapter(&format!("{name}.gguf"), &adapter);
        let found = engine.logits("Fold once, read twice.", Some(&file)).unwrap().pop().unwrap();
        let difference = found.iter().zip(&expected).fold(0f32, |max, (a, b)| max.max((a - b).abs()));
        let base = engine.logits("Fold once, read twice.", None).unwrap().pop().unwrap();
        let change = base.iter().zip(&expected).fold(0f32, |max, (a, b)| max.max((a - b).abs()));
        assert!(change > 0.3, "{name} changes the logits by {change} only");
        assert!(difference < 1e-4, "{name}: logits differ by {difference}");
    }
}

#[test]
fn one_alpha_is_kept_and_several_are_folded_in() {
    let (header, _world) = fixture_model();
    let alpha = |name: &str| import(&data("peft").join(name), &header).unwrap().alpha;
    assert_eq!(alpha("first"), 8.0);
    assert!((alpha("second") - 12.0).abs() < 1e-5, "rank-stabilised: 6 / √4 · 4");
    assert_eq!(alpha("patterns"), 0.0);
}

#[test]
fn qwen2_is_not_permuted() {
    let (llama, world) = fixture_model();
    tiny::write_model_as(&world.path("qwen2.gguf"), &tiny::weights(), "qwen2");
    let qwen2 = BaseModel::open(&world.path("qwen2.gguf")).unwrap();
    let pairs = |model: &BaseModel| import(&data("peft/first"), model).unwrap().pairs;
    let (permuted, plain) = (pairs(&llama), pairs(&qwen2));
    for (target, pair) in &plain {
        let same = permuted[target].b == pair.b;
        assert_eq!(same, !(target.contains("attn_q") || target.contains("attn_k")), "{target}");
    }
}

/// A copy of the first fixture with its configuration changed.
fn changed(world: &World, key: &str, value: serde_json::Value) -> String {
    let text = fs::read(data("peft/first/adapter_config.json")).unwrap();
    let mut config: serde_json::Value = serde_json::from_slice(&text).unwrap();
    config[key] = value;
    world.write("changed/adapter_config.json", config.to_string());
    fs::copy(data("peft/first/adapter_model.safetensors"), world.path("changed/adapter_model.safetensors")).unwrap();
    let model = world.base().0;
    import(&world.path("changed"), &model).map_or_else(|error| error.to_string(), |_| "imported".to_owned())
}

#[test]
fn what_plain_pairs_cannot_express_is_refused_with_its_reason() {
    let world = World::new();
    let cases = [
        ("use_dora", true.into(), "DoRA"),
        ("modules_to_save", serde_json::json!(["lm_head"]), "whole base weights"),
        ("bias", "all".into(), "biases"),
        ("lora_bias", true.into(), "biases"),
        ("fan_in_fan_out", true.into(), "transposed"),
        ("peft_type", "LOHA".into(), "only `LORA`"),
        ("r", 5.into(), "has rank 4"),
        ("target_modules", serde_json::json!(["q_proj"]), "does not name this module"),
        (
            "target_modules",
            serde_json::json!(["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "lm_head"]),
            "no tensors for it",
        ),
        ("target_modules", 3.into(), "is not a PEFT configuration"),
    ];
    for (key, value, reason) in cases {
        let said = changed(&world, key, value);
        assert!(said.contains(reason), "{key}: {said}");
    }
    assert_eq!(changed(&world, "target_modules", "all-linear".into()), "imported");
}

#[test]
fn broken_folders_say_what_is_broken() {
    let world = World::new();
    let model = world.base().0;
    let said = |name: &str| import(&world.path(name), &model).unwrap_err().to_string();
    assert!(said("nothing").contains("adapter_config.json"));
    world.write("json/adapter_config.json", "{");
    assert!(said("json").contains("not a PEFT configuration"));
    let config = fs::read(data("peft/first/adapter_config.json")).unwrap();
    world.write("cut/adapter_config.json", &config);
    assert!(said("cut").contains("adapter_model.safetensors"));
    let weights = fs::read(data("peft/first/adapter_model.safetensors")).unwrap();
    for length in [0, 7, 100, weights.len() - 1] {
        world.write("cut/adapter_model.safetensors", &weights[..length]);
        assert!(said("cut").contains("not a safetensors file"), "cut at {length}");
    }
    let mut huge = weights;
    huge[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    world.write("cut/adapter_model.safetensors", huge);
    assert!(said("cut").contains("not a safetensors file"));
}
