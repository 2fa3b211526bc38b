//! What can be typed behind `nfold train`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use crate::data::Source;
use crate::merge;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum TrainCommand {
    /// Learn an adapter for a task, or for a combination (a joint expert)
    Adapter(Box<AdapterArgs>),
    /// Learn a calibration for a combination whose tasks have adapters
    Calibration(Box<CalibrationArgs>),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct AdapterArgs {
    /// The task
    #[arg(short, long)]
    pub(in crate::cli) task: String,
    /// Rank of the pairs: 16, or that of --init, which a larger one fills up with pairs that change nothing yet
    #[arg(long, value_name = "R", value_parser = clap::value_parser!(u16).range(1..=512))]
    pub(in crate::cli) rank: Option<u16>,
    /// Numerator of the scaling alpha / rank; twice the rank by default
    #[arg(long, value_name = "X", conflicts_with = "init")]
    pub(in crate::cli) alpha: Option<f32>,
    /// Adapter file to go on from, with its scaling
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) init: Option<PathBuf>,
    #[command(flatten)]
    pub(in crate::cli) training: Training,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct CalibrationArgs {
    /// The combination; with --shared several, each with its own --task
    #[arg(short, long = "task", value_name = "TASKS", required = true)]
    pub(in crate::cli) tasks: Vec<String>,
    /// What is learned: low-rank (P1 and P2, the paper's "++") or vector (p)
    #[arg(long, value_name = "VARIANT", default_value = "low-rank")]
    pub(in crate::cli) variant: Variant,
    /// Rank of P1 and P2
    #[arg(long, value_name = "R", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(in crate::cli) rank: u16,
    /// How the adapters are merged beneath it: linear or concat
    #[arg(long, value_name = "METHOD", default_value = "concat")]
    pub(in crate::cli) method: merge::Method,
    /// Weights of the adapters in that merge; equal ones that sum to one by default
    #[arg(long, value_name = "W,W", value_delimiter = ',', allow_negative_numbers = true)]
    pub(in crate::cli) weights: Vec<f32>,
    /// Calibration file of the same variant and no larger rank to go on from, of whichever combination
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) init: Option<PathBuf>,
    /// One calibration for all the combinations given
    #[arg(long)]
    pub(in crate::cli) shared: bool,
    /// Where outputs come from: the data, or multi-step, the slow correct way, run on the data's inputs
    #[arg(long, value_name = "WHERE", default_value = "data")]
    pub(in crate::cli) from: Origin,
    #[command(flatten)]
    pub(in crate::cli) training: Training,
}

/// What is learned in a calibration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Variant {
    Vector,
    LowRank,
}

/// Where a calibration's outputs come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Origin {
    Data,
    MultiStep,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Training {
    /// Examples to learn from, JSONL or tab-separated; repeatable. Settings behind the file: weight=2, input=FIELD,
    /// output=FIELD, where=FIELD:VALUE, join=4, limit=500
    #[arg(long, value_name = "FILE[,KEY=VALUE]", required = true, help_heading = "Data")]
    pub(in crate::cli) data: Vec<Source>,
    /// Examples to judge by, in the same words; a tenth of the data by default
    #[arg(long, value_name = "FILE[,KEY=VALUE]", help_heading = "Data")]
    pub(in crate::cli) dev: Vec<Source>,
    /// The output's field in files that name none: summary.es
    #[arg(long, value_name = "FIELD", help_heading = "Data")]
    pub(in crate::cli) field: Option<String>,
    /// Leave examples out that are longer than this, in tokens
    #[arg(long, value_name = "N", default_value_t = 1024, help_heading = "Data")]
    pub(in crate::cli) max_length: usize,

    /// Base model: a name from `nfold models list`, or a path
    #[arg(short, long, value_name = "MODEL", env = "NFOLD_MODEL", help_heading = "Model and result")]
    pub(in crate::cli) model: Option<String>,
    /// Where to write the result; nfold's adapter folder by default
    #[arg(short, long, value_name = "FILE", help_heading = "Model and result")]
    pub(in crate::cli) output: Option<PathBuf>,
    /// Licence of the result, for its card
    #[arg(long, value_name = "TEXT", help_heading = "Model and result")]
    pub(in crate::cli) license: Option<String>,

    /// Passes through the data
    #[arg(long, value_name = "N", default_value_t = 3.0, value_parser = positive, help_heading = "Training")]
    pub(in crate::cli) epochs: f32,
    /// Updates, instead of passes through the data; 0 changes nothing
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub(in crate::cli) steps: Option<u64>,
    /// Tokens of a batch
    #[arg(long, value_name = "N", default_value_t = 1536, value_parser = clap::value_parser!(u32).range(1..=1_000_000), help_heading = "Training")]
    pub(in crate::cli) batch_tokens: u32,
    /// Highest learning rate; 4e-4 for adapters, 3e-3 for calibrations by default
    #[arg(long, value_name = "X", value_parser = positive, help_heading = "Training")]
    pub(in crate::cli) learning_rate: Option<f32>,
    /// Updates until it is reached
    #[arg(long, value_name = "N", default_value_t = 20, help_heading = "Training")]
    pub(in crate::cli) warmup: u64,
    /// Weight decay
    #[arg(long, value_name = "X", default_value_t = 0.0, help_heading = "Training")]
    pub(in crate::cli) weight_decay: f32,
    /// Longest gradient that is taken as it is
    #[arg(long, value_name = "X", default_value_t = 1.0, value_parser = positive, help_heading = "Training")]
    pub(in crate::cli) clip: f32,
    /// Seed; the same seed gives the same file on one machine
    #[arg(short, long, value_name = "N", default_value_t = 7, help_heading = "Training")]
    pub(in crate::cli) seed: u64,
    /// How often the dev loss is taken
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = clap::value_parser!(u64).range(1..), help_heading = "Training")]
    pub(in crate::cli) evaluations: u64,
    /// Stop after so many of them without a better one; 0 for never
    #[arg(long, value_name = "N", default_value_t = 3, help_heading = "Training")]
    pub(in crate::cli) patience: u32,
    /// Stop after this time (90s, 30m, 2h), the learning rate decaying towards it
    #[arg(long, value_name = "TIME", value_parser = duration, help_heading = "Training")]
    pub(in crate::cli) time_limit: Option<Duration>,
    /// Write a checkpoint this often
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = duration, help_heading = "Training")]
    pub(in crate::cli) checkpoint_every: Duration,
    /// Go on from the checkpoint of the same training
    #[arg(long, help_heading = "Training")]
    pub(in crate::cli) resume: bool,
    /// Threads; 0 for all cores
    #[arg(long, value_name = "N", env = "NFOLD_THREADS", default_value_t = 0, help_heading = "Training")]
    pub(in crate::cli) threads: usize,
    /// Print one JSON event a line on stdout
    #[arg(long, help_heading = "Training")]
    pub(in crate::cli) jsonl: bool,
}

fn positive(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(number) if number.is_finite() && number > 0.0 => Ok(number),
        _ => Err("a number above zero was expected".to_owned()),
    }
}

/// `90s`, `30m`, `2h`; a plain number is seconds.
fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = match text.char_indices().last() {
        Some((at, 's')) => (&text[..at], 1),
        Some((at, 'm')) => (&text[..at], 60),
        Some((at, 'h')) => (&text[..at], 3600),
        _ => (text, 1),
    };
    let number = number.parse::<u32>().map_err(|_| "a time was expected: 90s, 30m or 2h".to_owned())?;
    Ok(Duration::from_secs(u64::from(number) * unit))
}
