//! Measuring: the metrics against the Python packages that define them, the command on a tiny model.

use std::fs;

use nfold::eval::metric::bleu::Bleu;
use nfold::eval::metric::chrf::Chrf;
use nfold::eval::metric::rouge::Rouge;
use serde_json::{Value, json};

use crate::support::cli::nfold;
use crate::support::{World, data, tiny};

#[derive(serde::Deserialize)]
struct Row {
    output: String,
    reference: String,
    rouge: [f64; 4],
    chrf: f64,
    bleu: f64,
}

#[derive(serde::Deserialize)]
struct Whole {
    chrf: f64,
    bleu: f64,
}

#[derive(serde::Deserialize)]
struct Fixture {
    rows: Vec<Row>,
    corpus: Whole,
}

#[test]
fn scores_are_those_of_rouge_score_and_sacrebleu() {
    let fixture: Fixture = serde_json::from_slice(&fs::read(data("metrics/scores.json")).unwrap()).unwrap();
    assert_eq!(fixture.rows.len(), 50);
    let (mut bleu, mut chrf) = (Bleu::default(), Chrf::default());
    for row in &fixture.rows {
        let close = |name: &str, found: f64, expected: f64| {
            assert!(
                (found - expected).abs() < 1e-6,
                "{name} of {:?} to {:?}: {found}, not {expected}",
                row.output,
                row.reference
            );
        };
        let rouge = Rouge::of(&row.output, &row.reference);
        for (found, expected) in [rouge.one, rouge.two, rouge.three, rouge.longest].into_iter().zip(row.rouge) {
            close("ROUGE", found, expected);
        }
        let (own_bleu, own_chrf) = (Bleu::of(&row.output, &row.reference), Chrf::of(&row.output, &row.reference));
        close("chrF++", own_chrf.score(), row.chrf);
        close("BLEU", own_bleu.score(), row.bleu);
        (bleu, chrf) = (bleu.plus(&own_bleu), chrf.plus(&own_chrf));
    }
    assert!((bleu.score() - fixture.corpus.bleu).abs() < 1e-6, "{}", bleu.score());
    assert!((chrf.score() - fixture.corpus.chrf).abs() < 1e-6, "{}", chrf.score());
}

fn world() -> World {
    let world = World::new();
    for (name, seed) in [("summarize", 3), ("translate-es", 4)] {
        fs::create_dir_all(world.path("adapters/tiny")).unwrap();
        world.write_adapter(&format!("adapters/tiny/{name}.gguf"), &tiny::adapter(seed, 2, 0.2));
    }
    let row = |text: &str| {
        json!({"text": text, "summary": {"en": "s", "es": "uno dos tres"}, "reply": null}).to_string() + "\n"
    };
    world.write("test.jsonl", ["ab", "cd", "ef"].map(row).concat());
    world
}

const EVAL: &str = "eval -m {model} --data {dir}/test.jsonl --outputs {dir}/outputs.jsonl -n 6 --threads 1";

#[test]
fn methods_are_run_measured_and_kept() {
    let world = world();
    let line =
        format!("{EVAL} -t summarize+translate:es --baseline multi-step --json {{dir}}/e.json --markdown {{dir}}/e.md");
    let output = nfold(&world, &line).output();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    let cells: Vec<Value> = serde_json::from_slice(&fs::read(world.path("e.json")).unwrap()).unwrap();
    let names: Vec<&str> = cells.iter().map(|cell| cell["method"].as_str().unwrap()).collect();
    assert_eq!(names, ["prompt", "main", "auxiliary", "linear", "concat", "multi-step"]);
    for cell in &cells {
        let passes = if cell["method"] == "multi-step" { 2.0 } else { 1.0 };
        assert_eq!((cell["scores"]["examples"].as_u64(), cell["scores"]["passes"].as_f64()), (Some(3), Some(passes)));
        assert!(cell["scores"]["rouge_l"].as_f64().unwrap() >= 0.0);
    }
    let left_out = "calibrated++ is left out for summarize+translate:es: there is no calibration";
    assert!(stderr.contains(left_out), "{stderr}");
    let table = fs::read_to_string(world.path("e.md")).unwrap();
    assert_eq!(table, String::from_utf8(output.stdout).unwrap());
    assert!(table.contains("| Multi-step | no |") && table.contains("| summarize+translate:es | concat |"), "{table}");
    // A second time nothing is run, and a line that was cut off is run again.
    let kept = fs::read_to_string(world.path("outputs.jsonl")).unwrap();
    assert_eq!(kept.lines().count(), 18);
    // Text by text, so that a slow minute of the machine is shared by all methods.
    let methods = |lines: &str| -> Vec<String> {
        let row = |line| serde_json::from_str::<Value>(line).unwrap()["method"].as_str().unwrap().to_owned();
        lines.lines().map(row).collect()
    };
    assert_eq!(methods(&kept), [names.as_slice(); 3].concat());
    assert_eq!(nfold(&world, &line).output().status.code(), Some(0));
    assert_eq!(fs::read_to_string(world.path("outputs.jsonl")).unwrap(), kept);
    fs::write(world.path("outputs.jsonl"), &kept[..kept.len() - 20]).unwrap();
    assert_eq!(nfold(&world, &line).output().status.code(), Some(0));
    assert_eq!(fs::read_to_string(world.path("outputs.jsonl")).unwrap().lines().count(), 19);
}

#[test]
fn a_merge_that_does_not_fit_is_left_out_where_others_do() {
    let world = world();
    world.write_adapter("adapters/tiny/translate-fr.gguf", &tiny::adapter(4, 3, 0.2));
    let row = json!({"text": "ab", "summary": {"es": "uno", "fr": "un"}}).to_string();
    world.write("test.jsonl", row);
    let both = "-t summarize+translate:fr -t summarize+translate:es";
    for (asked, code, ran) in [
        (format!("{both} --method linear"), 0, vec!["es linear"]),
        (format!("{both} --method linear,concat"), 0, vec!["fr concat", "es linear", "es concat"]),
        ("-t summarize+translate:fr --method linear,concat".to_owned(), 4, vec![]),
    ] {
        let output = nfold(&world, &format!("{EVAL} {asked} --json {{dir}}/e.json")).output();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{asked}: {stderr}");
        assert!(stderr.contains("`linear` needs equal ranks"), "{asked}: {stderr}");
        assert_eq!(stderr.contains("linear is left out for summarize+translate:fr: adapter"), code == 0, "{stderr}");
        if code == 0 {
            let cells: Vec<Value> = serde_json::from_slice(&fs::read(world.path("e.json")).unwrap()).unwrap();
            let name = |cell: &Value| {
                let text = |key: &str| cell[key].as_str().unwrap();
                format!("{} {}", text("task").trim_start_matches("summarize+translate:"), text("method"))
            };
            assert_eq!(cells.iter().map(name).collect::<Vec<_>>(), ran, "{asked}");
            // An average over fewer combinations than other methods have says so.
            let table = String::from_utf8(output.stdout).unwrap();
            assert_eq!(table.contains(" (1 of 2) |"), ran.len() == 3, "{table}");
        }
    }
}

#[test]
fn what_was_asked_for_by_name_must_be_there() {
    let world = world();
    // What is missing is found before anything is run.
    let line = format!("{EVAL} -t summarize+translate:es --method linear,calibrated++");
    assert_eq!(nfold(&world, &line).output().status.code(), Some(4));
    assert_eq!(fs::read(world.path("outputs.jsonl")).unwrap_or_default(), b"");
    for (line, code, message) in [
        (format!("{EVAL} -t summarize+translate:es --method calibrated++"), 4, "no calibration"),
        (format!("{EVAL} -t summarize+translate:es --method multistep"), 2, "did you mean `multi-step`?"),
        (format!("{EVAL} -t summarize+translate:es --method in-context"), 2, "`--examples`"),
        (format!("{EVAL} -t summarize+translate:es --baseline best"), 2, "is no method"),
        (format!("{EVAL} -t summarize+translate:fr --method prompt"), 3, "no field `summary.fr`"),
        (format!("{EVAL} --json {{dir}}/none/e.json"), 1, "cannot write"),
        (EVAL.replace("test.jsonl", "none.jsonl") + " -t summarize", 3, "cannot read data"),
    ] {
        let output = nfold(&world, &line).output();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.contains(message), "{line}: {stderr}");
        assert_eq!(output.status.code(), Some(code), "{line}: {stderr}");
    }
}
