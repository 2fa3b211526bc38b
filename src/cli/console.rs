//! stdout and stderr. Everything that is printed goes through here, sanitised.
//!
//! stdout is the answer or what a listing command lists, and nothing else. Everything else is stderr.

use std::io::{self, IsTerminal, Write};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tracing::Level;
use tracing_subscriber::fmt::MakeWriter;

use crate::sanitize::sanitize;

/// How much is said on stderr, and how.
#[derive(Debug, Clone, Copy)]
pub(super) struct Console {
    quiet: bool,
    verbose: u8,
}

impl Console {
    pub(super) fn new(quiet: bool, verbose: u8) -> Self {
        Self { quiet, verbose }
    }

    /// Sends what nfold and llama.cpp log to stderr: warnings with `-v`, everything with `-vv`, else nothing.
    pub(super) fn start_logging(self) {
        let level = match self.verbose {
            0 => return,
            1 => Level::INFO,
            _ => Level::DEBUG,
        };
        let subscriber =
            tracing_subscriber::fmt().with_max_level(level).with_writer(Log).with_ansi(false).without_time();
        drop(tracing::subscriber::set_global_default(subscriber.finish()));
    }

    /// Prints to stdout.
    pub(super) fn out(text: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(sanitize(text).as_bytes())?;
        out.flush()
    }

    /// Says something on stderr, unless quiet. A stderr that is gone is no reason to stop.
    pub(super) fn note(self, text: &str) {
        if !self.quiet {
            Self::error(text);
        }
    }

    /// Says what went wrong, quiet or not.
    pub(super) fn error(text: &str) {
        drop(writeln!(io::stderr().lock(), "nfold: {}", sanitize(text)));
    }

    /// A progress bar on stderr: in bytes, or in steps. Hidden where stderr is no terminal or all is quiet.
    pub(super) fn progress(self, message: &'static str, unit: Unit) -> ProgressBar {
        let target = match self.quiet || self.verbose > 0 || !io::stderr().is_terminal() {
            true => ProgressDrawTarget::hidden(),
            false => ProgressDrawTarget::stderr(),
        };
        let template = match unit {
            #[cfg(feature = "download")]
            Unit::Bytes => "{msg} {bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}",
            Unit::Steps => "{msg} {bar:30} {pos}/{len}",
        };
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::with_draw_target(None, target).with_style(style.progress_chars("━╸ "));
        bar.set_message(message);
        bar
    }
}

/// What a progress bar counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    #[cfg(feature = "download")]
    Bytes,
    Steps,
}

/// The log's way to stderr.
struct Log;

impl MakeWriter<'_> for Log {
    type Writer = LogLine;

    fn make_writer(&self) -> LogLine {
        LogLine
    }
}

struct LogLine;

impl Write for LogLine {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        io::stderr().lock().write_all(sanitize(&String::from_utf8_lossy(bytes)).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().lock().flush()
    }
}
