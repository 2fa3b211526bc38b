//! The main job on SmolLM2 with the adapters that nfold ships.

use std::ops::ControlFlow;
use std::path::Path;

use nfold::adapter;
use nfold::engine::llama::{Llama, LoadOptions};
use nfold::engine::{Engine, Request};

use crate::support::cli::{nfold, repository};
use crate::support::{World, smollm2};

fn run(world: &World, line: &str) -> (String, String, Option<i32>) {
    let model = smollm2();
    let adapters = repository("adapters");
    let output = nfold(world, line)
        .env("NFOLD_MODEL", &model.to_string_lossy())
        .env("NFOLD_ADAPTERS", &adapters.to_string_lossy())
        .output();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr), output.status.code())
}

fn sample() -> String {
    repository("tests/data/sample.txt").to_string_lossy().into_owned()
}

#[test]
fn an_english_document_becomes_a_spanish_summary_in_one_pass() {
    let world = World::new();
    let (stdout, stderr, code) = run(&world, &format!("summarize {} --to es --json -n 64", sample()));
    assert_eq!(code, Some(0), "{stderr}");
    let json: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(json["strategy"], "calibrated");
    assert_eq!(json["passes"], 1);
    assert_eq!(json["model"]["name"], "smollm2-135m");
    assert_eq!(json["adapters"].as_array().unwrap().len(), 2);
    let text = json["text"].as_str().unwrap().to_lowercase();
    let spanish = [" de ", " la ", " el ", " que ", " en ", " los ", " y "];
    let found = spanish.iter().filter(|word| text.contains(*word)).count();
    assert!(found >= 3, "not Spanish: {text}");
}

#[test]
fn the_same_request_gives_the_same_answer_on_any_number_of_threads() {
    let world = World::new();
    let line = format!("summarize {} --to es -n 24", sample());
    let (first, stderr, code) = run(&world, &line);
    assert_eq!(code, Some(0), "{stderr}");
    for threads in ["", " --threads 1", " --threads 2"] {
        assert_eq!(run(&world, &format!("{line}{threads}")).0, first, "{threads}");
    }
}

#[test]
fn a_combination_without_a_calibration_takes_a_pass_for_each_task_and_says_so() {
    let world = World::new();
    let (stdout, stderr, code) = run(&world, &format!("run {} -t summarize+translate:es+tone:witty -n 24", sample()));
    assert_eq!(code, Some(0), "{stderr}");
    assert!(
        stderr.contains("no calibration for summarize+translate:es+tone:witty: one pass for each task"),
        "{stderr}"
    );
    assert!(stderr.contains("multi-step, 3 passes"), "{stderr}");
    assert!(stdout.trim().len() > 20 && stdout.ends_with('\n'), "{stdout}");
}

#[test]
fn shipped_calibrations_fit_the_shipped_adapters() {
    let world = World::new();
    for main in ["summarize", "reply"] {
        for shape in [
            "translate:es",
            "translate:fr",
            "translate:de",
            "tone:professional",
            "tone:casual",
            "tone:witty",
            "tone:paraphrase",
        ] {
            let (stdout, stderr, code) = run(&world, &format!("run {} -t {main}+{shape} --dry-run --json", sample()));
            assert_eq!(code, Some(0), "{stderr}");
            let json: serde_json::Value = serde_json::from_str(&stdout).unwrap();
            assert_eq!(json["strategy"], "calibrated", "{main}+{shape}: {stderr}");
        }
    }
}

#[test]
fn shipped_adapters_fit_the_default_model() {
    let world = World::new();
    let (stdout, stderr, code) = run(&world, "adapters check");
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stdout.lines().count() >= 2 && stdout.lines().all(|line| line.starts_with("ok ")), "{stdout}");
}

/// The document is tokenised as plain text between the template's marks; for a document without marks of its own that
/// must give the same number of tokens as one go over the whole prompt, which is how adapters are trained.
#[test]
fn the_prompt_is_tokenised_as_in_training() {
    let options = LoadOptions { threads: Some(1), gpu_layers: Some(0) };
    let engine = Llama::load(&smollm2(), options, |_| ControlFlow::Continue(())).unwrap();
    let config = nfold::config::Config::example().unwrap();
    let document = std::fs::read_to_string(sample()).unwrap();
    let user = format!("Summarize the following text in Spanish.\n\n{}", document.trim());
    let request = Request {
        system: None,
        user: user.clone(),
        adapter: None,
        sampling: config.sampling,
        max_tokens: 1,
        context: None,
    };
    let prompt = engine.prompt(&request).unwrap();
    assert_eq!(prompt.text, format!("<|im_start|>user\n{user}<|im_end|>\n<|im_start|>assistant\n"));
    assert_eq!(prompt.tokens, engine.count(&prompt.text));
}

#[test]
fn a_merged_file_is_an_ordinary_adapter() {
    let world = World::new();
    let (_, stderr, code) = run(&world, "adapters merge summarize translate:es -o merged.gguf");
    assert_eq!(code, Some(0), "{stderr}");
    let rank = |path: &Path| adapter::read(path).unwrap().ranks().1;
    let shipped = repository("adapters/smollm2-135m");
    let parts = rank(&shipped.join("summarize.gguf")) + rank(&shipped.join("translate-es.gguf"));
    assert_eq!(rank(&world.path("merged.gguf")), parts, "concat puts the ranks side by side");
    let (stdout, stderr, code) = run(&world, &format!("run {} --lora merged.gguf -t summarize -n 8", sample()));
    assert_eq!(code, Some(0), "{stderr}");
    assert!(!stdout.trim().is_empty());
}
