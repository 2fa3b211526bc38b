//! `nfold train`, run as users run it, on a tiny model.
#![cfg(feature = "train")]

use std::fs;
use std::process::Stdio;

use nfold::{adapter, calibration};
use serde_json::{Value, json};

use crate::support::cli::nfold;
use crate::support::{World, tiny};

/// Letters, and the same letters turned into capitals.
fn pairs(count: usize) -> String {
    let line = |index: usize| {
        let letter = char::from(b'a' + u8::try_from(index % 26).unwrap());
        json!({"text": letter.to_string(), "output": letter.to_string().to_uppercase().repeat(2)}).to_string() + "\n"
    };
    (0..count).map(line).collect()
}

fn world() -> World {
    let world = World::new();
    world.write("data.jsonl", pairs(26));
    world
}

fn run(world: &World, line: &str) -> (String, String, Option<i32>) {
    let output = nfold(world, line).output();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr), output.status.code())
}

const ADAPTER: &str =
    "train adapter -m {model} -t summarize --data {dir}/data.jsonl --rank 2 --batch-tokens 256 --learning-rate 0.01";

#[test]
fn an_adapter_is_learned_runs_and_carries_its_card() {
    let world = world();
    let (stdout, stderr, code) =
        run(&world, &format!("{ADAPTER} --steps 12 --license CC0-1.0 --jsonl -o {{dir}}/learned.gguf"));
    assert_eq!(code, Some(0), "{stderr}");
    let events: Vec<Value> = stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events.iter().filter(|event| event["event"] == "step").count(), 12);
    assert!(events.iter().any(|event| event["event"] == "evaluation" && event["best"] == true));
    assert!(stderr.contains("24 examples, 2 to judge by"), "{stderr}");
    // 2 · (4 · 64 + 3 · 96) numbers.
    assert!(stderr.contains("learning 1088 numbers"), "{stderr}");
    let learned = adapter::read(&world.path("learned.gguf")).unwrap();
    assert_eq!((learned.alpha, learned.ranks()), (4.0, (2, 2)));
    let card = learned.card;
    assert_eq!(card.task.as_deref(), Some("summarize"));
    assert_eq!(card.license.as_deref(), Some("CC0-1.0"));
    assert!(card.data.unwrap().contains("data.jsonl (sha256 "));
    assert!(card.provenance.unwrap().contains("12 steps"));
    assert!(card.figures.unwrap().starts_with("dev loss "));
    world.write("short.txt", "ab");
    let (_, stderr, code) = run(&world, "run {dir}/short.txt -m {model} -t summarize -n 3 --lora {dir}/learned.gguf");
    assert_eq!(code, Some(0), "{stderr}");
    let left: Vec<_> = fs::read_dir(world.folder()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().contains("checkpoint")), "{left:?}");
}

/// The best dev loss and the one before training, from a card.
fn dev_losses(figures: &str) -> (f64, f64) {
    let number = |text: &str| text.split([' ', ',']).find_map(|word| word.parse::<f64>().ok()).unwrap();
    let (best, before) = figures.split_once(", ").unwrap();
    (number(best), number(before))
}

#[test]
fn an_adapter_can_be_begun_from_another() {
    let world = world();
    assert_eq!(run(&world, &format!("{ADAPTER} --steps 10 -o {{dir}}/first.gguf")).2, Some(0));
    let (_, stderr, code) =
        run(&world, &format!("{ADAPTER} --steps 10 --init {{dir}}/first.gguf --seed 8 -o {{dir}}/second.gguf"));
    assert_eq!(code, Some(0), "{stderr}");
    let dev = |name: &str| dev_losses(&adapter::read(&world.path(name)).unwrap().card.figures.unwrap());
    let (first, second) = (dev("first.gguf"), dev("second.gguf"));
    assert!((first.0 - second.1).abs() < 0.02, "{first:?} {second:?}: files are in half precision");
    assert!(second.0 < second.1);
    assert!(adapter::read(&world.path("second.gguf")).unwrap().card.data.unwrap().contains("begun from an adapter of"));
}

#[test]
fn an_adapter_can_be_begun_from_one_of_a_smaller_rank() {
    let world = world();
    assert_eq!(run(&world, &format!("{ADAPTER} --steps 10 -o {{dir}}/first.gguf")).2, Some(0));
    let further = ADAPTER.replace("--rank 2", "--init {dir}/first.gguf");
    assert_eq!(run(&world, &format!("{further} --rank 5 --steps 0 -o {{dir}}/same.gguf")).2, Some(0));
    let [first, same] = ["first.gguf", "same.gguf"].map(|name| adapter::read(&world.path(name)).unwrap());
    assert_eq!((first.ranks(), same.ranks()), ((2, 2), (5, 5)));
    for name in first.pairs.keys() {
        let [before, after] = [&first, &same].map(|adapter| adapter.delta_weight(name).unwrap());
        let close = before.data().iter().zip(after.data()).all(|(before, after)| (before - after).abs() < 1e-6);
        assert!(close, "{name}");
    }
    let (_, stderr, code) = run(&world, &format!("{further} --rank 5 --steps 10 -o {{dir}}/second.gguf"));
    assert_eq!(code, Some(0), "{stderr}");
    let (_, stderr, code) = run(&world, &format!("{further} --rank 1 -o {{dir}}/third.gguf"));
    assert_eq!(code, Some(4), "{stderr}");
    assert!(stderr.contains("has rank 2, and `--rank 1` would cut it"), "{stderr}");
}

/// A world whose model has adapters for summarize and translate:es.
fn with_adapters() -> World {
    let world = world();
    for (name, seed) in [("summarize", 3), ("translate-es", 4)] {
        fs::create_dir_all(world.path("adapters/tiny")).unwrap();
        world.write_adapter(&format!("adapters/tiny/{name}.gguf"), &tiny::adapter(seed, 2, 0.2));
    }
    world
}

const CALIBRATION: &str =
    "train calibration -m {model} -t summarize+translate:es --data {dir}/data.jsonl --batch-tokens 256";

#[test]
fn a_joint_expert_and_a_calibration_begin_at_the_same_merge() {
    let world = with_adapters();
    let merge = "adapters merge summarize translate:es -m {model} --precision f32 -o {dir}/merged.gguf";
    assert_eq!(run(&world, merge).2, Some(0));
    let joint = ADAPTER.replace("-t summarize", "-t summarize+translate:es").replace("--rank 2 ", "");
    let (_, stderr, code) = run(&world, &format!("{joint} --steps 3 --init {{dir}}/merged.gguf -o {{dir}}/joint.gguf"));
    assert_eq!(code, Some(0), "{stderr}");
    let (_, stderr, code) = run(&world, &format!("{CALIBRATION} --steps 3 -o {{dir}}/calibration.gguf"));
    assert_eq!(code, Some(0), "{stderr}");
    let joint = adapter::read(&world.path("joint.gguf")).unwrap();
    assert_eq!(joint.ranks(), (4, 4));
    let joint = dev_losses(&joint.card.figures.unwrap());
    let calibrated = dev_losses(&calibration::read_card(&world.path("calibration.gguf")).unwrap().figures.unwrap());
    assert!((joint.1 - calibrated.1).abs() < 2e-4, "{joint:?} {calibrated:?}");
    assert!(joint.0 < joint.1, "{joint:?}");
}

#[test]
fn a_learned_calibration_is_what_runs_take() {
    let world = with_adapters();
    let folder = "{dir}/adapters/tiny/calibrations";
    let (_, stderr, code) = run(&world, &format!("{CALIBRATION} --steps 12 -o {folder}/summarize+translate-es.gguf"));
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stderr.contains("learning 2176 numbers"), "{stderr}");
    let again = format!("{CALIBRATION} --init {folder}/summarize+translate-es.gguf --jsonl");
    let (stdout, stderr, code) = run(&world, &format!("{again} --steps 1 --evaluations 1 -o {{dir}}/further.gguf"));
    let further: Value = stdout.lines().map(|line| serde_json::from_str(line).unwrap()).next().unwrap();
    let (stdout, ..) = run(&world, &format!("{CALIBRATION} --jsonl --steps 1 -o {{dir}}/anew.gguf"));
    let anew: Value = stdout.lines().map(|line| serde_json::from_str(line).unwrap()).next().unwrap();
    assert!(further["loss"].as_f64() < anew["loss"].as_f64(), "{code:?} {stderr}");
    let (_, stderr, code) = run(&world, &format!("{again} --rank 2 -o {{dir}}/further.gguf"));
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("has a larger rank or another shape at `attn_k.a`"), "{stderr}");
    let vector = format!("{CALIBRATION} --variant vector --steps 12 -o {folder}/summarize+translate-es.vector.gguf");
    assert_eq!(run(&world, &vector).2, Some(0));
    let learned =
        calibration::read(&world.path("adapters/tiny/calibrations/summarize+translate-es.vector.gguf")).unwrap();
    assert_eq!(learned.parameters(), 288);
    assert_eq!(learned.fit.weights, [0.5, 0.5]);
    assert_eq!(learned.fit.adapters.len(), 2);
    let short = world.write("short.txt", "ab");
    let (stdout, stderr, code) =
        run(&world, &format!("run {} -m {{model}} -t summarize+translate:es -n 3 --json", short.display()));
    assert_eq!(code, Some(0), "{stderr}");
    let json: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((json["strategy"].as_str(), json["passes"].as_u64()), (Some("calibrated"), Some(1)));
    let (stdout, stderr, code) = run(&world, "adapters show summarize+translate:es -m {model}");
    assert_eq!(code, Some(0), "{stderr}");
    for row in [
        "serves    summarize+translate:es",
        "merge     concat with weights 0.5, 0.5",
        "size      2176 parameters",
        "figures   dev loss",
    ] {
        assert!(stdout.contains(row), "{row}: {stdout}");
    }
    let other = "{dir}/adapters/tiny/calibrations/summarize+translate-es.vector.gguf";
    let line =
        format!("run {} -m {{model}} -t summarize+translate:es -n 3 --dry-run --calibration {other}", short.display());
    let (stdout, stderr, code) = run(&world, &line);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stdout.contains("calibrated, 1 pass") && stdout.contains(".vector.gguf"), "{stdout}");
}

#[test]
fn several_combinations_share_a_calibration_only_when_asked_to() {
    let world = with_adapters();
    world.write_adapter("adapters/tiny/translate-fr.gguf", &tiny::adapter(6, 2, 0.2));
    let two = format!("{CALIBRATION} -t summarize+translate:fr --steps 8 -o {{dir}}/shared.gguf");
    let (_, stderr, code) = run(&world, &two);
    assert!(code == Some(2) && stderr.contains("--shared"), "{stderr}");
    let (_, stderr, code) = run(&world, &format!("{two} --shared"));
    assert_eq!(code, Some(0), "{stderr}");
    let learned = calibration::read(&world.path("shared.gguf")).unwrap();
    assert_eq!(learned.fit.combinations, ["summarize+translate:es", "summarize+translate:fr"]);
    assert_eq!(learned.fit.adapters.len(), 3);
}

#[test]
fn multi_steps_outputs_stand_in_for_labels() {
    let world = with_adapters();
    world.write(
        "texts.jsonl",
        (b'a'..=b'm').map(|c| json!({"text": char::from(c).to_string()}).to_string() + "\n").collect::<String>(),
    );
    let line = "train calibration -m {model} -t summarize+translate:es --from multi-step --data {dir}/texts.jsonl --dev {dir}/data.jsonl,limit=2 --steps 4 -o {dir}/own.gguf";
    let (_, stderr, code) = run(&world, line);
    assert_eq!(code, Some(0), "{stderr}");
    let kept = fs::read_to_string(world.path("own.gguf.distilled.jsonl")).unwrap();
    assert!(kept.lines().count() >= 1, "{kept}");
    for line in kept.lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        assert!(row["text"].is_string() && row["output"].is_string());
    }
}

#[test]
fn the_house_format_and_pairs_are_read_by_task() {
    let world = world();
    let house = json!({"text": "t", "summary": {"en": "s", "es": "r"}, "reply": null});
    world.write("house.jsonl", format!("{house}\n").repeat(12));
    world.write("pairs.tsv", "a\tb\n".repeat(24));
    let line = "train adapter -m {model} -t translate:es --rank 2 --steps 1 -o {dir}/x.gguf";
    let (_, stderr, _) = run(
        &world,
        &format!(
            "{line} --data {{dir}}/house.jsonl --data {{dir}}/pairs.tsv,join=3,weight=0.5 --dev {{dir}}/house.jsonl,limit=2"
        ),
    );
    // Replies are null, so each house line is one pair; 24 lines joined by 1, 2, 3, 1, … are 12 examples.
    assert!(stderr.contains("24 examples, 2 to judge by"), "{stderr}");
    let (_, stderr, _) = run(
        &world,
        &format!(
            "{line} --data {{dir}}/house.jsonl --field summary.en --dev {{dir}}/house.jsonl,input=summary.en,output=summary.es"
        ),
    );
    assert!(stderr.contains("12 examples, 12 to judge by"), "{stderr}");
}

#[test]
fn bad_input_says_what_is_wrong() {
    let world = world();
    world.write("cut.jsonl", "{\"text\": \"a\", \"output\": \"b\"}\n{\"text\": \"a\n");
    world.write("empty.jsonl", "\n\n");
    world.write("pairs.tsv", "one\ttwo\nalone\n");
    world.write("other.jsonl", "{\"text\": \"a\"}\n");
    world.write("numbers.jsonl", "{\"text\": \"a\", \"output\": 7}\n");
    fs::write(world.path("latin.jsonl"), b"{\"text\": \"\xe9\"}\n").unwrap();
    tiny::write_model_as(&world.path("gemma.gguf"), &tiny::weights(), "gemma");
    let long = json!({"text": "a".repeat(600), "output": "b"});
    world.write("long.jsonl", format!("{}{long}\n", pairs(20)));
    let data = |file: &str| {
        format!("train adapter -m {{model}} -t summarize --rank 2 --steps 1 -o {{dir}}/x.gguf --data {{dir}}/{file}")
    };
    let foreign = adapter::Adapter { architecture: "qwen2".to_owned(), ..tiny::adapter(1, 2, 4.0) };
    world.write_adapter("foreign.gguf", &foreign);
    let mut mixed = tiny::adapter(1, 2, 4.0);
    mixed.pairs.extend(tiny::adapter(1, 3, 4.0).pairs.pop_first());
    world.write_adapter("mixed.gguf", &mixed);
    for (line, code, message) in [
        (data("data.jsonl") + " --init {dir}/foreign.gguf", 4, "is made for architecture `qwen2`"),
        (data("data.jsonl") + " --init {dir}/mixed.gguf", 4, "has ranks from 2 to 3"),
        (data("data.jsonl") + " --init {dir}/data.jsonl", 4, "is not a GGUF file"),
        (data("cut.jsonl"), 3, "cut.jsonl`, line 2: it is not JSON"),
        (data("empty.jsonl"), 3, "holds no example for summarize"),
        (data("pairs.tsv"), 3, "pairs.tsv`, line 2: two columns"),
        (data("other.jsonl"), 3, "line 1: it has neither a field `output` nor the house format's `summary.en`"),
        (data("numbers.jsonl"), 3, "line 1: its field `output` is no text"),
        (data("latin.jsonl"), 3, "line 1: it is not UTF-8"),
        (data("none.jsonl"), 3, "cannot read data"),
        (data("long.jsonl").replace("--steps 1", "--steps 0"), 0, "1 longer than 256 tokens left out"),
        (data("data.jsonl,weight=x"), 2, "`x` is no weight"),
        (data("data.jsonl,wight=2"), 2, "`wight` is no setting"),
        (data("data.jsonl").replace("{model}", "{dir}/gemma.gguf"), 4, "training knows llama and qwen2"),
        (data("data.jsonl").replace("{dir}/x.gguf", "{dir}"), 1, "cannot write"),
        (CALIBRATION.to_owned() + " -t reply --shared --from multi-step", 2, "one combination at a time"),
        (data("data.jsonl") + " --resume", 4, "cannot read checkpoint"),
        (data("data.jsonl") + " --time-limit soon", 2, "a time was expected"),
        (data("data.jsonl").replace("-t summarize", "-t sumarize"), 2, "did you mean `summarize`"),
        (
            "train calibration -m {model} -t summarize+translate:es --data {dir}/data.jsonl".to_owned(),
            4,
            "needs an adapter for `summarize`",
        ),
    ] {
        let (_, stderr, found) = run(&world, &line);
        assert!(stderr.contains(message), "{line}: {stderr}");
        assert_eq!(found, Some(code), "{line}: {stderr}");
    }
}

#[test]
fn two_trainings_do_not_write_one_file() {
    let world = world();
    let lock = fs::File::create(world.path("x.gguf.lock")).unwrap();
    lock.lock().unwrap();
    let (_, stderr, code) = run(&world, &format!("{ADAPTER} --steps 1 -o {{dir}}/x.gguf"));
    assert_eq!(code, Some(1));
    assert!(stderr.contains("another training is writing"), "{stderr}");
}

#[test]
fn an_interrupted_training_is_kept_and_resumed() {
    let world = world();
    let line = format!("{} --steps 300 --patience 0 -o {{dir}}/x.gguf", ADAPTER.replace("256", "64"));
    let mut command = nfold(&world, &format!("{line} --jsonl")).command();
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
    let first = lines.next().unwrap().unwrap();
    assert!(first.contains("\"step\":1"), "{first}");
    std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(rest.len() < 290 && rest.last().unwrap().contains("checkpoint"), "{rest:?}");
    let (_, stderr, code) = run(&world, &format!("{line} --resume"));
    assert_eq!(code, Some(0), "{stderr}");
    let told = adapter::read(&world.path("x.gguf")).unwrap().card.provenance.unwrap();
    assert!(told.contains("300 steps") && !told.contains(" s, "), "{told}");
    // The same as one that nothing interrupted, to the last byte.
    let (_, stderr, code) = run(&world, &line.replace("x.gguf", "y.gguf"));
    assert_eq!(code, Some(0), "{stderr}");
    assert!(fs::read(world.path("x.gguf")).unwrap() == fs::read(world.path("y.gguf")).unwrap(), "the files differ");
}
