//! What can be typed behind `nfold eval`.

use std::path::PathBuf;

use clap::Args;

use crate::data::Source;

#[derive(Debug, Args)]
pub(in crate::cli) struct EvalArgs {
    /// Texts with references, JSONL or tab-separated, in the words of `nfold train --data`
    #[arg(long, value_name = "FILE[,KEY=VALUE]", required = true, help_heading = "What")]
    pub(in crate::cli) data: Source,
    /// Combinations; every main task with every shaping one by default
    #[arg(short, long = "task", value_name = "TASKS", help_heading = "What")]
    pub(in crate::cli) tasks: Vec<String>,
    /// Methods: prompt, main, auxiliary, in-context, linear, concat, multi-step, joint, calibrated, calibrated++, shared,
    /// shared++; all that have what they need by default
    #[arg(long = "method", value_name = "METHODS", value_delimiter = ',', help_heading = "What")]
    pub(in crate::cli) methods: Vec<String>,
    /// Only the first texts
    #[arg(long, value_name = "N", help_heading = "What")]
    pub(in crate::cli) limit: Option<usize>,
    /// The reference's field where the file names none: summary.es
    #[arg(long, value_name = "FIELD", help_heading = "What")]
    pub(in crate::cli) field: Option<String>,
    /// Worked examples for in-context, in the words of `--data`
    #[arg(long, value_name = "FILE[,KEY=VALUE]", help_heading = "What")]
    pub(in crate::cli) examples: Option<Source>,
    /// How many of them are shown
    #[arg(short = 'k', long, value_name = "K", default_value_t = 1, help_heading = "What")]
    pub(in crate::cli) shots: usize,

    /// Base model: a name from `nfold models list`, or a path
    #[arg(short, long, value_name = "MODEL", env = "NFOLD_MODEL", help_heading = "How")]
    pub(in crate::cli) model: Option<String>,
    /// Weights of the adapters in linear and concat
    #[arg(long, value_name = "W,W", value_delimiter = ',', allow_negative_numbers = true, help_heading = "How")]
    pub(in crate::cli) weights: Vec<f32>,
    /// The most tokens of an answer
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), help_heading = "How")]
    pub(in crate::cli) max_tokens: Option<u32>,
    /// Penalty on tokens that already came out; 1 for none
    #[arg(long, value_name = "X", help_heading = "How")]
    pub(in crate::cli) repeat_penalty: Option<f32>,
    /// Threads; 0 for the physical cores
    #[arg(long, value_name = "N", env = "NFOLD_THREADS", help_heading = "How")]
    pub(in crate::cli) threads: Option<u32>,

    /// Show scores and times as multiples of this method's
    #[arg(long, value_name = "METHOD", help_heading = "Output")]
    pub(in crate::cli) baseline: Option<String>,
    /// Keep outputs in this file and find them there; in nfold's cache by default
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub(in crate::cli) outputs: Option<PathBuf>,
    /// Write all figures as JSON
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub(in crate::cli) json: Option<PathBuf>,
    /// Write both tables as Markdown
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub(in crate::cli) markdown: Option<PathBuf>,
}
