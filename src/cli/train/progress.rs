//! How a training tells where it is: a bar on a terminal, notes at every evaluation, JSON lines.

use std::ops::ControlFlow;

use indicatif::ProgressBar;

use crate::train::Event;

use super::super::console::{Console, Unit};
use super::super::exit::Failure;
use super::super::signals::Signals;

pub(super) struct Progress {
    console: Console,
    bar: ProgressBar,
    jsonl: bool,
    signals: Signals,
    /// A mean over recent steps, in nats.
    loss: Option<f64>,
    dev_loss: Option<f64>,
    broken: Option<std::io::Error>,
}

impl Progress {
    /// Begins, and listens to signals from here on.
    pub(super) fn new(console: Console, jsonl: bool, steps: u64) -> Result<Self, Failure> {
        let bar = console.progress("dev loss", Unit::Steps);
        bar.set_length(steps);
        let mut signals = Signals::default();
        signals.listen()?;
        Ok(Self { console, bar, jsonl, signals, loss: None, dev_loss: None, broken: None })
    }

    pub(super) fn event(&mut self, event: &Event) -> ControlFlow<()> {
        if self.jsonl
            && let Ok(line) = serde_json::to_string(event)
            && let Err(error) = Console::out(&format!("{line}\n"))
        {
            self.broken = Some(error);
        }
        match event {
            Event::Step { step, loss, tokens_per_second, progress, seconds, .. } => {
                let mean = self.loss.map_or(*loss, |mean| mean + 0.1 * (loss - mean));
                self.loss = Some(mean);
                let left = seconds / f64::from(progress.max(1e-6)) - seconds;
                let dev = self.dev_loss.map_or_else(String::new, |loss| format!(", dev {loss:.3}"));
                let message = format!("loss {mean:.3}{dev}, {tokens_per_second:.0} tok/s, {} left", time(left));
                self.bar.set_position(*step);
                self.bar.set_message(message);
            }
            Event::Evaluation { step, dev_loss, best } => {
                self.dev_loss = Some(*dev_loss);
                let loss = self.loss.unwrap_or(f64::NAN);
                let best = if *best { ", best so far" } else { "" };
                let note = format!("step {step}: loss {loss:.4}, dev loss {dev_loss:.4}{best}");
                self.bar.suspend(|| self.console.note(&note));
            }
            Event::Checkpoint { .. } => {}
        }
        match self.broken.is_some() || self.signals.received().is_some() {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }

    /// Ends the bar; gives the signal that came, if one did.
    pub(super) fn finish(self) -> Result<Option<u8>, Failure> {
        self.bar.finish_and_clear();
        self.broken.map_or(Ok(self.signals.received()), |error| Err(error.into()))
    }
}

fn time(seconds: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an estimate")]
    let seconds = seconds.max(0.0) as u64;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        _ => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}
