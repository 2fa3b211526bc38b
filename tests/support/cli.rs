//! The program, run as users run it, in an empty home.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use super::World;

/// A command line under way.
pub struct Nfold<'a> {
    world: &'a World,
    command: Command,
    input: Option<Vec<u8>>,
}

/// `nfold` in a world, words split at spaces, `{model}` and `{dir}` filled in.
pub fn nfold<'a>(world: &'a World, line: &str) -> Nfold<'a> {
    let words = line.split_whitespace().map(|word| fill(world, word));
    let mut nfold = bare(world);
    nfold.command.args(words);
    nfold
}

/// `nfold` without arguments.
pub fn bare(world: &World) -> Nfold<'_> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nfold"));
    command
        .current_dir(world.folder())
        .env_clear()
        .env("HOME", world.path("home"))
        .env("NFOLD_HOME", world.path("home"));
    command.env("NFOLD_ADAPTERS", world.path("adapters")).env("NO_COLOR", "1").env("COLUMNS", "100");
    Nfold { world, command, input: None }
}

fn fill(world: &World, word: &str) -> String {
    word.replace("{model}", &world.model().to_string_lossy()).replace("{dir}", &world.folder().to_string_lossy())
}

impl Nfold<'_> {
    pub fn arg(mut self, word: &str) -> Self {
        let word = fill(self.world, word);
        self.command.arg(word);
        self
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        let value = fill(self.world, value);
        self.command.env(name, value);
        self
    }

    pub fn input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = Some(bytes.into());
        self
    }

    pub fn command(self) -> Command {
        self.command
    }

    pub fn output(mut self) -> Output {
        self.command.stdout(Stdio::piped()).stderr(Stdio::piped());
        self.command.stdin(if self.input.is_some() { Stdio::piped() } else { Stdio::null() });
        let mut child = self.command.spawn().unwrap();
        if let Some(bytes) = self.input {
            // A program that ends before it reads is no failure of the test.
            drop(child.stdin.take().unwrap().write_all(&bytes));
        }
        child.wait_with_output().unwrap()
    }

    /// The same for a run: what a model says is not the same on every machine, only that it says something.
    pub fn golden_run(self) -> String {
        let golden = self.golden();
        let (start, end) = (golden.find("--- stdout\n").unwrap() + 11, golden.find("--- stderr").unwrap());
        let said = if golden[start..end].trim().is_empty() { "" } else { "[an answer]\n" };
        format!("{}{said}{}", &golden[..start], &golden[end..])
    }

    /// stdout, stderr and exit code in one text, with what differs between runs made alike.
    pub fn golden(self) -> String {
        let dir = self.world.folder().to_string_lossy().into_owned();
        let output = self.output();
        let text = |bytes: &[u8]| {
            let text =
                String::from_utf8_lossy(bytes).replace(&dir, "[dir]").replace(env!("CARGO_MANIFEST_DIR"), "[repo]");
            text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
        };
        format!(
            "--- stdout\n{}\n--- stderr\n{}\n--- exit {:?}",
            text(&output.stdout),
            text(&output.stderr),
            output.status.code()
        )
    }
}

pub fn repository(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}
