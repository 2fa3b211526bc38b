//! Whole processes: what they print, when, and how much memory they take.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A run of nfold.
pub(crate) struct Run {
    pub(crate) success: bool,
    /// The object it printed last.
    pub(crate) json: serde_json::Value,
    pub(crate) peak_mb: f64,
    /// From the start of the process to the first event that holds answer text.
    pub(crate) first_answer_ms: Option<f64>,
}

impl Run {
    pub(crate) fn number(&self, group: &str, name: &str) -> f64 {
        self.json[group][name].as_f64().unwrap_or_else(|| panic!("no {group}.{name} in {}", self.json))
    }
}

pub(crate) fn nfold(arguments: &[&str]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nfold"));
    command.args(arguments);
    let measured = run_measured(command);
    let last = measured.lines.last().map_or("", |line| line.1.as_str());
    let first = measured.lines.iter().find(|line| line.1.contains("\"run.token\""));
    Run {
        success: measured.success,
        json: serde_json::from_str(last).unwrap_or_default(),
        peak_mb: measured.peak_mb,
        first_answer_ms: first.map(|line| line.0.as_secs_f64() * 1e3),
    }
}

/// A process that has ended.
pub(crate) struct Measured {
    pub(crate) success: bool,
    /// Lines of stdout and when each came.
    pub(crate) lines: Vec<(Duration, String)>,
    pub(crate) stderr: String,
    pub(crate) peak_mb: f64,
}

pub(crate) fn run_measured(mut command: Command) -> Measured {
    let started = Instant::now();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (mut stdout, mut stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let lines = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let mut lines = Vec::new();
        let mut reader = BufReader::new(&mut stdout);
        while reader.read_until(b'\n', &mut bytes).unwrap() > 0 {
            lines.push((started.elapsed(), String::from_utf8_lossy(&bytes).into_owned()));
            bytes.clear();
        }
        lines
    });
    let errors = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        stderr.read_to_end(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    });
    let (success, peak_mb) = watch(&mut child);
    Measured { success, lines: lines.join().unwrap(), stderr: errors.join().unwrap(), peak_mb }
}

/// Waits for the end; the peak is what the kernel noted (`VmHWM`), read until then.
#[expect(clippy::disallowed_methods, reason = "memory is looked at from time to time")]
fn watch(child: &mut Child) -> (bool, f64) {
    let file = format!("/proc/{}/status", child.id());
    let mut peak = 0f64;
    loop {
        let status = std::fs::read_to_string(&file).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = line.and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok());
        peak = peak.max(kilobytes.unwrap_or(0.0) / 1e3);
        if let Some(status) = child.try_wait().unwrap() {
            return (status.success(), peak);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A process that keeps one core busy until it is dropped.
pub(crate) struct Hog(Child);

impl Hog {
    pub(crate) fn start() -> Self {
        Self(Command::new("sh").args(["-c", "while :; do :; done"]).spawn().unwrap())
    }
}

impl Drop for Hog {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
