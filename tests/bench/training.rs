//! Training beside PyTorch and PEFT: the same examples in one batch, the same rank, the same number of threads.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::processes::{Measured, run_measured};
use super::row;

const ROUNDS: usize = 3;
const EXAMPLES: &str = "5";
const STEPS: &str = "4";

/// Speeds of the steps after the first, tokens per second.
fn steady(speeds: impl Iterator<Item = f64>) -> f64 {
    let mut speeds: Vec<f64> = speeds.skip(1).collect();
    speeds.sort_by(f64::total_cmp);
    speeds[speeds.len() / 2]
}

fn ours(model: &Path, data: &str) -> (f64, f64) {
    let result = std::env::temp_dir().join("nfold-bench-adapter.gguf");
    let mut command = Command::new(env!("CARGO_BIN_EXE_nfold"));
    command.args(["train", "adapter", "-q", "--jsonl", "-t", "summarize", "--rank", "16", "--steps", STEPS]);
    command.args(["--batch-tokens", "100000", "--evaluations", "1", "--warmup", "1", "--threads", "2"]);
    command.arg("--data").arg(format!("{data},limit={EXAMPLES}")).arg("--dev").arg(format!("{data},limit=1"));
    command.arg("-o").arg(&result).arg("-m").arg(model);
    let Measured { success, lines, stderr, peak_mb } = run_measured(command);
    assert!(success, "{stderr}");
    drop(std::fs::remove_file(result));
    let events = lines.iter().map(|line| serde_json::from_str::<Value>(&line.1).unwrap());
    (steady(events.filter_map(|event| event["tokens_per_second"].as_f64())), peak_mb)
}

fn theirs(python: &Path, model: &Path, data: &str) -> (f64, f64) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench/pytorch.py");
    let mut command = Command::new(python);
    command.arg(script).arg(model).args([data, EXAMPLES, "16", STEPS, "2", "float32"]);
    let Measured { success, lines, stderr, peak_mb } = run_measured(command);
    assert!(success, "{stderr}");
    let last: Value = serde_json::from_str(&lines.last().unwrap().1).unwrap();
    (steady(last["tokens_per_second"].as_array().unwrap().iter().map(|speed| speed.as_f64().unwrap())), peak_mb)
}

pub(super) fn measure(model: &Path) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    #[expect(clippy::disallowed_methods, reason = "where cargo builds to")]
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let python = target.join("peers/python/bin/python");
    if !python.exists() {
        println!("training: left out, tests/bench/pytorch.sh installs what it is held to");
        return;
    }
    let data = root.join("tests/data/house/dev.jsonl").to_string_lossy().into_owned();
    let (mut speeds, mut memory) = ((Vec::new(), Vec::new()), (Vec::new(), Vec::new()));
    for _ in 0..ROUNDS {
        let (own, peer) = (ours(model, &data), theirs(&python, model, &data));
        speeds.0.push(own.0);
        speeds.1.push(peer.0);
        memory.0.push(own.1);
        memory.1.push(peer.1);
    }
    row("training, rank 16 (PyTorch and PEFT, float32)", "tok/s", &speeds.0, &speeds.1);
    row("peak memory, training (PyTorch and PEFT, float32)", "MB", &memory.0, &memory.1);
}
