//! `make bench`: nfold beside llama.cpp's own tools, and its training beside PyTorch, in turn, on this machine, as a table of ratios.
//!
//! Every figure is of a whole process, started anew each round; a ratio is taken within a round, so that a machine whose
//! speed drifts does not decide it. Columns are the median and, in brackets, the extremes over all rounds.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a benchmark that cannot run stops")]
#![expect(clippy::print_stdout, reason = "it prints a table")]

mod interface;
mod peers;
mod processes;
#[path = "../support/pty.rs"]
#[expect(dead_code, unreachable_pub, reason = "the tests use all of it")]
mod pty;
#[cfg(feature = "train")]
mod training;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use nfold::adapter::{Card, Matrix};
use nfold::calibration::{Calibration, Correction, Fit};
use nfold::compose::{Cache, CalibrationFile, Recipe, ingredient};
use nfold::config::Config;
use nfold::digest::{Digest, Digests};
use nfold::merge::Method;
use nfold::paths::Paths;
use nfold::plan::{Base, resolve_base};

use peers::Peers;
use processes::{Hog, Run, nfold};

const ROUNDS: usize = 9;

/// What inference is measured on.
struct Bench {
    paths: Paths,
    base: Base,
    adapters: [PathBuf; 2],
    document: PathBuf,
    peers: Peers,
}

fn main() {
    let config = Config::example().unwrap();
    let paths = Paths::from_environment().unwrap();
    let base = resolve_base("smollm2-135m", &config, &paths).expect("`make model` fetches the model");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let document = root.join("tests/data/sample.txt");
    println!("{:<58} {:>24} {:>24}   ratio", "", "nfold", "peer");
    // `make bench ONLY=training` leaves the rest out.
    let only = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let wanted = |name: &str| only.as_deref().is_none_or(|only| only == name);
    if wanted("inference") {
        let adapter = |name: &str| root.join("adapters/smollm2-135m").join(name);
        let bench = Bench {
            adapters: [adapter("summarize.gguf"), adapter("translate-es.gguf")],
            document: document.clone(),
            peers: Peers::find(),
            paths,
            base: base.clone(),
        };
        bench.bare();
        bench.with_adapters();
        bench.composing();
        bench.first_token();
        bench.busy();
    }
    if wanted("interface") {
        interface::measure(&document);
    }
    #[cfg(feature = "train")]
    if wanted("training") {
        training::measure(&base.header.path);
    }
}

/// Median and extremes.
struct Spread(Vec<f64>);

impl Spread {
    fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted[sorted.len() / 2]
    }

    fn text(&self, digits: usize) -> String {
        let (low, high) = self.0.iter().fold((f64::MAX, f64::MIN), |(low, high), x| (low.min(*x), high.max(*x)));
        format!("{:.digits$} ({low:.digits$}–{high:.digits$})", self.median())
    }
}

/// A row: nfold's figures, the peer's, and their ratio round by round.
fn row(what: &str, unit: &str, ours: &[f64], theirs: &[f64]) {
    let ratios = ours.iter().zip(theirs).map(|(a, b)| a / b).collect();
    let (ours, theirs, ratios) = (Spread(ours.to_vec()), Spread(theirs.to_vec()), Spread(ratios));
    println!("{:<58} {:>24} {:>24}   {}", format!("{what}, {unit}"), ours.text(1), theirs.text(1), ratios.text(2));
}

fn alone(what: &str, unit: &str, ours: &[f64]) {
    println!("{:<58} {:>24}", format!("{what}, {unit}"), Spread(ours.to_vec()).text(1));
}

impl Bench {
    fn ours(&self, more: &[&str]) -> Run {
        let document = self.document.to_string_lossy();
        let mut arguments = vec!["summarize", &document, "--to", "es", "--json", "-n", "96", "--threads", "2"];
        arguments.extend(more);
        nfold(&arguments)
    }

    /// The base model alone, against llama-bench on the model's file and on the copy that nfold loads.
    fn bare(&self) {
        let files = [self.base.header.path.clone(), self.base.to_load(&self.paths)];
        let (mut ours, mut theirs) = (Vec::new(), [Vec::new(), Vec::new()]);
        for _ in 0..ROUNDS {
            let run = self.ours(&["--method", "prompt"]);
            let depth = run.json["usage"]["prompt_tokens"].as_u64().unwrap();
            ours.push(run);
            for (theirs, model) in theirs.iter_mut().zip(&files) {
                theirs.push((self.peers.prefill(model, depth), self.peers.decode(model, depth)));
            }
        }
        let figure = |name: &str| -> Vec<f64> { ours.iter().map(|run| run.number("timing", name)).collect() };
        for (theirs, of) in theirs.iter().zip(["", ", the Q8_0 copy"]) {
            let (first, second): (Vec<f64>, Vec<f64>) = theirs.iter().copied().unzip();
            row(&format!("prefill, no adapter (llama-bench{of})"), "tok/s", &figure("prefill_tps"), &first);
            row(&format!("decode, no adapter (llama-bench -d{of})"), "tok/s", &figure("decode_tps"), &second);
        }
    }

    /// One composed adapter, against llama-completion with the same file and with the two stacked; and memory.
    fn with_adapters(&self) {
        let composed = std::env::temp_dir().join("nfold-bench-composed.gguf");
        let parts = ["adapters", "merge", "summarize", "translate:es", "--weights", "1,1", "-q", "-o"];
        let mut arguments = parts.to_vec();
        let target = composed.to_string_lossy().into_owned();
        arguments.push(&target);
        assert!(nfold(&arguments).success, "merging the two adapters");
        let stacked: Vec<&Path> = self.adapters.iter().map(PathBuf::as_path).collect();
        let (mut ours, mut same, mut two) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let run = self.ours(&["--method", "concat", "--weights", "1,1"]);
            let prompt = self.prompt();
            let model = &self.base.header.path;
            same.push(self.peers.completion(model, &[&composed], &prompt));
            two.push(self.peers.completion(model, &stacked, &prompt));
            ours.push(run);
        }
        let figure = |name: &str| -> Vec<f64> { ours.iter().map(|run| run.number("timing", name)).collect() };
        let theirs = |runs: &[peers::Completion], pick: fn(&peers::Completion) -> f64| -> Vec<f64> {
            runs.iter().map(pick).collect()
        };
        row(
            "prefill, composed adapter (llama-completion, same file)",
            "tok/s",
            &figure("prefill_tps"),
            &theirs(&same, |run| run.prefill),
        );
        row(
            "decode, composed adapter (llama-completion, same file)",
            "tok/s",
            &figure("decode_tps"),
            &theirs(&same, |run| run.decode),
        );
        row(
            "decode, composed adapter (llama-completion stacking two)",
            "tok/s",
            &figure("decode_tps"),
            &theirs(&two, |run| run.decode),
        );
        let memory: Vec<f64> = ours.iter().map(|run| run.peak_mb).collect();
        row(
            "peak memory, composed adapter (llama-completion, same file)",
            "MB",
            &memory,
            &theirs(&same, |run| run.peak_mb),
        );
    }

    /// The prompt as a file, for llama-completion.
    fn prompt(&self) -> PathBuf {
        let run = self.ours(&["--method", "prompt", "--dry-run"]);
        let path = std::env::temp_dir().join("nfold-bench-prompt.txt");
        std::fs::write(&path, run.json["prompt"].as_str().unwrap()).unwrap();
        path
    }

    /// A Learnable Calibration++ of the model's shape. Composing takes as long whatever its numbers are.
    fn calibration(&self, folder: &Path) -> CalibrationFile {
        let corrections =
            ["attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"].map(|module| {
                let shape = self.base.header.shape(&format!("blk.0.{module}.weight")).unwrap();
                let (inputs, outputs) = (usize::try_from(shape.0).unwrap(), usize::try_from(shape.1).unwrap());
                let (p1, p2) = (Matrix::filled(4, inputs, 0.01), Matrix::filled(outputs, 4, 0.01));
                (module.to_owned(), Correction::LowRank { p1, p2 })
            });
        let fit = Fit {
            combinations: vec!["summarize+translate:es".to_owned()],
            method: Method::Concat,
            weights: vec![0.5, 0.5],
            base: self.base.sha256,
            adapters: BTreeMap::new(),
        };
        let calibration = Calibration { architecture: "llama".to_owned(), fit, corrections: corrections.into() };
        std::fs::create_dir_all(folder).unwrap();
        let path = folder.join("calibration.gguf");
        nfold::calibration::write(&path, &calibration, &Card::default()).unwrap();
        CalibrationFile { sha256: Digest::of(&std::fs::read(&path).unwrap()), path }
    }

    fn composing(&self) {
        let folder = std::env::temp_dir().join("nfold-bench-cache");
        let digests = Digests::in_folder(folder.join("digests"));
        let ingredients = self.adapters.iter().map(|path| ingredient(&digests, "part", path, 0.5).unwrap()).collect();
        let calibration = Some(self.calibration(&folder));
        let recipe = Recipe { ingredients, method: Method::Concat, calibration };
        let cache = Cache::in_folder(folder.join("composed"));
        let (mut cold, mut cached) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS * 3 {
            drop(std::fs::remove_dir_all(cache.folder()));
            for times in [&mut cold, &mut cached] {
                let started = Instant::now();
                recipe.materialize(&self.base.header, self.base.sha256, &cache).unwrap();
                times.push(started.elapsed().as_secs_f64() * 1e3);
            }
        }
        alone("composing: read, merge, calibrate, write, cold", "ms", &cold);
        alone("composing: from the cache", "ms", &cached);
    }

    /// From the start of the process to the first byte of the answer, less loading and prefill.
    fn first_token(&self) {
        let document = self.document.to_string_lossy();
        let arguments = ["summarize", &document, "--to", "es", "--method", "concat", "-n", "1", "--jsonl", "-q"];
        let overhead = (0..ROUNDS).map(|_| {
            let run = nfold(&arguments);
            let prefill = run.number("usage", "prompt_tokens") / run.number("timing", "prefill_tps") * 1e3;
            run.first_answer_ms.unwrap() - run.number("timing", "load_ms") - prefill
        });
        alone("process start to first token, less load and prefill", "ms", &overhead.collect::<Vec<_>>());
    }

    /// Beside a process that keeps one core busy; the measure is one thread on the idle machine.
    fn busy(&self) {
        let document = self.document.to_string_lossy();
        let arguments = ["summarize", &document, "--to", "es", "--method", "prompt", "--json", "-n", "96"];
        let one_thread: Vec<&str> = arguments.iter().copied().chain(["--threads", "1"]).collect();
        let two_threads: Vec<&str> = arguments.iter().copied().chain(["--threads", "2"]).collect();
        let decode = |arguments: &[&str]| nfold(arguments).number("timing", "decode_tps");
        let (mut adapted, mut fixed, mut idle) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            idle.push(decode(&one_thread));
            let hog = Hog::start();
            adapted.push(decode(&arguments));
            fixed.push(decode(&two_threads));
            drop(hog);
        }
        row("decode beside a busy process (one thread, idle)", "tok/s", &adapted, &idle);
        row("decode beside a busy process, threads not adapted", "tok/s", &fixed, &idle);
    }
}
