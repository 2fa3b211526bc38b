//! llama.cpp's own tools, as `tests/bench/peers.sh` builds them.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::processes::run_measured;

/// Where the tools are.
pub(crate) struct Peers {
    folder: PathBuf,
}

/// A run of llama-completion.
pub(crate) struct Completion {
    pub(crate) prefill: f64,
    pub(crate) decode: f64,
    pub(crate) peak_mb: f64,
}

impl Peers {
    pub(crate) fn find() -> Self {
        // The benchmark's own program lies in TARGET/release/deps.
        let program = std::env::current_exe().unwrap();
        let folder = program.ancestors().nth(3).unwrap().join("peers/bin");
        assert!(folder.join("llama-bench").is_file(), "`make bench` builds the tools into {}", folder.display());
        Self { folder }
    }

    /// Prefill speed of so many tokens, in tokens a second.
    pub(crate) fn prefill(&self, model: &Path, tokens: u64) -> f64 {
        self.bench(model, &["-p", &tokens.to_string(), "-n", "0"])
    }

    /// Decode speed behind a context of so many tokens, in tokens a second.
    pub(crate) fn decode(&self, model: &Path, depth: u64) -> f64 {
        self.bench(model, &["-p", "0", "-n", "96", "-d", &depth.to_string()])
    }

    fn bench(&self, model: &Path, what: &[&str]) -> f64 {
        let mut command = Command::new(self.folder.join("llama-bench"));
        command.arg("-m").arg(model).args(what).args(["-t", "2", "-r", "1", "-o", "json"]);
        let output = command.output().unwrap();
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("llama-bench prints JSON");
        json[0]["avg_ts"].as_f64().unwrap()
    }

    pub(crate) fn completion(&self, model: &Path, adapters: &[&Path], prompt: &Path) -> Completion {
        let list: Vec<String> = adapters.iter().map(|path| path.to_string_lossy().into_owned()).collect();
        let mut command = Command::new(self.folder.join("llama-completion"));
        command.arg("-m").arg(model).arg("-f").arg(prompt).arg("--lora").arg(list.join(","));
        command.args(["-t", "2", "-n", "96", "--ignore-eos", "--temp", "0", "-no-cnv", "-c", "512"]);
        let measured = run_measured(command);
        let figures: Vec<f64> = measured.stderr.split("tokens per second").filter_map(last_number).collect();
        let [prefill, decode, ..] = figures[..] else { panic!("llama-completion said: {}", measured.stderr) };
        Completion { prefill, decode, peak_mb: measured.peak_mb }
    }
}

/// The number that a text ends in.
fn last_number(text: &str) -> Option<f64> {
    text.trim_end().rsplit(|c: char| c.is_whitespace() || c == ',').next()?.parse().ok()
}
