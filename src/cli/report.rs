//! Two voices for a run: people's and programs'.
//!
//! Human: stdout is the answer as it comes. JSON: stdout is one object at the end. JSON lines: stdout is one event a line,
//! the last of which is `run.finished` or `run.failed`. In both, text is as the model gave it: JSON escapes what is harmful.

use std::io::{self, Write};

use serde_json::{Value, json};

use crate::engine::{Step, Stop};
use crate::plan::Plan;
use crate::run::{Event, Figures, Report, Setup, millis};
use crate::sanitize::sanitize;

use super::exit::Failure;

/// The version of the JSON that is printed.
const SCHEMA: u32 = 1;

/// Hears what happens in a run and prints what is to be printed of it.
pub(super) trait Reporter {
    /// A step of the run.
    fn event(&mut self, event: &Event<'_>) -> io::Result<()>;
    /// The end of it.
    fn finished(&mut self, plan: &Plan, setup: &Setup, report: &Report) -> io::Result<()>;
    /// The end of it, with an error.
    fn failed(&mut self, failure: &Failure) -> io::Result<()>;
}

/// The answer, sanitised, as it comes.
pub(super) struct Human<W> {
    out: W,
    ends_with_newline: bool,
}

impl<W: Write> Human<W> {
    pub(super) fn new(out: W) -> Self {
        Self { out, ends_with_newline: false }
    }
}

impl<W: Write> Reporter for Human<W> {
    fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
        let Event::Step { last: true, step: Step::Token(text) } = event else {
            return Ok(());
        };
        let text = sanitize(text);
        if text.is_empty() {
            return Ok(());
        }
        self.ends_with_newline = text.ends_with('\n');
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }

    fn finished(&mut self, _: &Plan, _: &Setup, _: &Report) -> io::Result<()> {
        if !self.ends_with_newline {
            self.out.write_all(b"\n")?;
        }
        self.out.flush()
    }

    fn failed(&mut self, _: &Failure) -> io::Result<()> {
        Ok(())
    }
}

/// One object at the end; with `events`, one a line while it runs as well.
pub(super) struct Json<W> {
    out: W,
    events: bool,
}

impl<W: Write> Json<W> {
    pub(super) fn new(out: W, events: bool) -> Self {
        Self { out, events }
    }

    fn line(&mut self, value: &Value) -> io::Result<()> {
        writeln!(self.out, "{value}")?;
        self.out.flush()
    }

    fn last(&mut self, kind: &str, mut object: Value) -> io::Result<()> {
        if self.events
            && let Value::Object(fields) = &mut object
        {
            fields.shift_insert(0, "type".to_owned(), kind.into());
        }
        self.line(&object)
    }
}

impl<W: Write> Reporter for Json<W> {
    fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
        if !self.events {
            return Ok(());
        }
        let object = match event {
            Event::PassStarted { index, of, task } => {
                json!({"type": "run.pass", "index": index, "of": of, "task": task})
            }
            Event::Step { step: Step::Prefill { done, total }, .. } => {
                json!({"type": "run.prefill", "done": done, "total": total})
            }
            Event::Step { step: Step::Token(""), .. } => return Ok(()),
            Event::Step { last, step: Step::Token(text) } => json!({"type": "run.token", "text": text, "answer": last}),
        };
        self.line(&object)
    }

    fn finished(&mut self, plan: &Plan, setup: &Setup, report: &Report) -> io::Result<()> {
        self.last("run.finished", envelope(plan, setup, report))
    }

    fn failed(&mut self, failure: &Failure) -> io::Result<()> {
        let error = json!({"code": failure.exit.code(), "message": failure.message});
        self.last("run.failed", json!({"schema": SCHEMA, "error": error}))
    }
}

/// What was planned, without what came of it.
pub(super) fn describe(plan: &Plan) -> Value {
    let ingredients = plan.passes.iter().filter_map(|pass| pass.recipe.as_ref()).flat_map(|recipe| &recipe.ingredients);
    let adapters: Vec<Value> = ingredients
        .map(|part| json!({"task": part.name, "path": part.path, "sha256": part.sha256, "weight": part.weight}))
        .collect();
    let calibration = plan.passes.iter().find_map(|pass| pass.recipe.as_ref()?.calibration.as_ref());
    json!({
        "schema": SCHEMA,
        "tasks": plan.tasks,
        "model": {"name": plan.base.name, "path": plan.base.header.path, "sha256": plan.base.sha256},
        "strategy": plan.strategy,
        "adapters": adapters,
        "calibration": calibration,
        "passes": plan.passes.len(),
        "notes": plan.notes,
    })
}

/// Everything about a run that is over. Usage is summed over its passes, `ctx` is the largest context.
fn envelope(plan: &Plan, setup: &Setup, report: &Report) -> Value {
    let sums = Figures::of(setup, report);
    let stop = report.stop();
    let steps: Vec<Value> = report
        .passes
        .iter()
        .map(|pass| {
            json!({"task": pass.task, "text": pass.text, "prompt_tokens": pass.outcome.prompt_tokens,
                "output_tokens": pass.outcome.output_tokens, "finish_reason": pass.outcome.stop})
        })
        .collect();
    let mut object = describe(plan);
    let more = json!({
        "text": report.text(),
        "steps": steps,
        "cached": setup.adapters.iter().all(|adapter| adapter.cached || adapter.path.is_none()),
        "usage": {"prompt_tokens": sums.prompt, "output_tokens": sums.output, "ctx": sums.context},
        "timing": {
            "load_ms": millis(setup.load), "compose_ms": millis(setup.compose), "ttft_ms": millis(sums.first_token),
            "prefill_tps": sums.prefill_speed(), "decode_tps": sums.decode_speed(),
            "threads": sums.threads,
        },
        "truncated": matches!(stop, Stop::MaxTokens | Stop::ContextFull),
        "finish_reason": stop,
    });
    if let (Value::Object(all), Value::Object(more)) = (&mut object, more) {
        all.extend(more);
    }
    object
}

/// The figures as people read them.
pub(super) fn stats(setup: &Setup, report: &Report) -> String {
    let sums = Figures::of(setup, report);
    format!(
        "{} pass{}, {} prompt tokens at {}/s, {} output tokens at {}/s on {} thread{}; \
         load {} ms, compose {} ms, first token after {} ms, context {}",
        report.passes.len(),
        if report.passes.len() == 1 { "" } else { "es" },
        sums.prompt,
        sums.prefill_speed(),
        sums.output,
        sums.decode_speed(),
        sums.threads,
        if sums.threads == 1 { "" } else { "s" },
        millis(setup.load),
        millis(setup.compose),
        millis(sums.first_token),
        sums.context,
    )
}
