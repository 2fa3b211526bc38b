//! `nfold run`, and `summarize`, `reply`, `translate`, `rewrite`, which are words for it.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use indicatif::ProgressBar;
use serde_json::json;

use crate::compose::Cache;
use crate::engine::llama::{Llama, LoadOptions};
use crate::engine::{Engine, EngineError, Sampling, Step, Stop};
use crate::file;
use crate::plan::{Ask, Plan};
use crate::run::{self, Event, Report, Setup};
use crate::sanitize::sanitize;

use super::Session;
use super::args::Options;
use super::console::{Console, Unit};
use super::exit::{Exit, Failure};
use super::input;
use super::report::{self, Human, Json, Reporter};
use super::signals::Signals;

/// Runs tasks on a document.
pub(super) fn run(
    session: &Session,
    file: Option<&Path>,
    tasks: Vec<String>,
    options: &Options,
) -> Result<Exit, Failure> {
    let mut collected = Vec::new();
    let mut reporter = reporter(options, &mut collected);
    let result = Runner { session, options }.run(file, tasks, reporter.as_mut());
    if let Err(failure) = &result
        && failure.exit != Exit::Done
    {
        reporter.failed(failure)?;
    }
    drop(reporter);
    let exit = result?;
    if let Some(path) = options.output.as_ref().filter(|_| !options.dry_run && !matches!(exit, Exit::Signal(_))) {
        file::write_whole(path, |out| out.write_all(&collected)).map_err(|error| cannot_write(path, &error))?;
    }
    Ok(exit)
}

fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    Failure::new(Exit::Failed, format!("cannot write `{}`: {error}", path.display()))
}

/// The voice that was asked for, into stdout or what is written to a file at the end.
fn reporter<'a>(options: &Options, collected: &'a mut Vec<u8>) -> Box<dyn Reporter + 'a> {
    let out: Box<dyn Write + 'a> = match options.output.is_some() && !options.dry_run {
        true => Box::new(collected),
        false => Box::new(io::stdout()),
    };
    match options.json || options.jsonl {
        true => Box::new(Json::new(out, options.jsonl)),
        false => Box::new(Human::new(out)),
    }
}

struct Runner<'a> {
    session: &'a Session,
    options: &'a Options,
}

impl Runner<'_> {
    fn run(&self, file: Option<&Path>, tasks: Vec<String>, reporter: &mut dyn Reporter) -> Result<Exit, Failure> {
        let session = self.session;
        if let Some(path) = &self.options.output {
            file::check_writable(path).map_err(|error| cannot_write(path, &error))?;
        }
        let ask = self.ask(tasks)?;
        let plan = Plan::resolve(&ask, &session.config, &session.paths)?;
        let document = input::read(file, session.console)?;
        plan.notes.iter().for_each(|note| session.console.note(note));
        let (adapters, compose) = run::compose(&plan, &Cache::in_folder(session.paths.composed()))?;
        let started = Instant::now();
        let mut engine = self.load(&plan)?;
        let setup = Setup { load: started.elapsed(), compose, adapters };
        if self.options.dry_run {
            return self.dry_run(&plan, &setup, &engine, &document);
        }
        session.console.note(&announce(&plan));
        let (report, signals) = self.execute(&plan, &setup, &document, &mut engine, reporter)?;
        reporter.finished(&plan, &setup, &report)?;
        if self.options.stats {
            Console::error(&report::stats(&setup, &report));
        }
        Ok(self.exit(&report, &signals))
    }

    fn exit(&self, report: &Report, signals: &Signals) -> Exit {
        match report.stop() {
            Stop::Cancelled => Exit::Signal(signals.received().unwrap_or(2)),
            Stop::EndOfGeneration => Exit::Done,
            Stop::MaxTokens | Stop::ContextFull => {
                self.session.console.note("the answer was cut off at its token limit; `--max-tokens` raises it");
                if self.options.strict { Exit::CutOff } else { Exit::Done }
            }
        }
    }

    /// What was typed, with the configuration for what was not.
    fn ask(&self, tasks: Vec<String>) -> Result<Ask, Failure> {
        let (options, config) = (self.options, &self.session.config);
        let sampling = Sampling {
            temperature: options.temp.unwrap_or(config.sampling.temperature),
            top_k: options.top_k.unwrap_or(config.sampling.top_k),
            top_p: options.top_p.unwrap_or(config.sampling.top_p),
            min_p: options.min_p.unwrap_or(config.sampling.min_p),
            seed: options.seed.unwrap_or(config.sampling.seed),
            ..config.sampling.clone()
        };
        let given = Ask::of(config, options.model.as_deref());
        let context = options.ctx_size.map_or(given.context, |length| Some(length).filter(|length| *length > 0));
        let system = options.system.clone().map_or(given.system, |text| Some(text).filter(|text| !text.is_empty()));
        Ok(Ask {
            tasks,
            method: options.method.unwrap_or(given.method),
            weights: options.weights.clone(),
            calibration: options.calibration.clone(),
            loras: options.lora.iter().map(|text| lora(text)).collect::<Result<_, _>>()?,
            system,
            sampling,
            repeat_penalty: options.repeat_penalty,
            max_tokens: options.max_tokens,
            context,
            model: given.model,
        })
    }

    fn load(&self, plan: &Plan) -> Result<Llama, EngineError> {
        let (options, config) = (self.options, &self.session.config);
        let threads = usize::try_from(options.threads.unwrap_or(config.threads)).ok().filter(|threads| *threads > 0);
        let gpu_layers = u32::try_from(options.gpu_layers.unwrap_or(config.gpu_layers)).ok();
        let bar = self.session.console.progress("loading the model", Unit::Steps);
        bar.set_length(100);
        let shown = bar.clone();
        let loaded = Llama::load(
            &plan.base.to_load(&self.session.paths),
            LoadOptions { threads, gpu_layers },
            move |fraction| {
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a fraction of 100")]
                shown.set_position((fraction * 100.0) as u64);
                ControlFlow::Continue(())
            },
        );
        bar.finish_and_clear();
        loaded
    }

    fn dry_run(&self, plan: &Plan, setup: &Setup, engine: &Llama, document: &str) -> Result<Exit, Failure> {
        let first = &plan.passes[0];
        let adapter = setup.adapters.first().and_then(|adapter| adapter.path.clone());
        let prompt = engine.prompt(&run::request(plan, first, adapter, document))?;
        let limit = plan.context.unwrap_or(u32::MAX).min(engine.trained_context());
        let mut description = report::describe(plan);
        if let serde_json::Value::Object(fields) = &mut description {
            fields.insert("prompt".to_owned(), json!(prompt.text));
            fields.insert("prompt_tokens".to_owned(), json!(prompt.tokens));
            fields.insert("max_tokens".to_owned(), json!(first.max_tokens));
            fields.insert("ctx_limit".to_owned(), json!(limit));
        }
        if self.options.json || self.options.jsonl {
            Console::out(&format!("{description}\n"))?;
            return Ok(Exit::Done);
        }
        let mut text = format!("{}\n\n{}\n", prompt.text.trim_end_matches('\n'), announce(plan));
        for later in plan.passes.iter().skip(1).filter_map(|pass| pass.combination.as_ref()) {
            let _ = writeln!(text, "then, on what came out: {}", later.user_message("").trim_end());
        }
        for recipe in plan.passes.iter().filter_map(|pass| pass.recipe.as_ref()) {
            for part in &recipe.ingredients {
                let _ = writeln!(text, "adapter {} × {} {}", part.weight, part.name, part.path.display());
            }
            if let Some(calibration) = &recipe.calibration {
                let _ = writeln!(text, "calibration {}", calibration.path.display());
            }
        }
        let _ = writeln!(
            text,
            "{} prompt tokens, up to {} for the answer, context at most {limit}",
            prompt.tokens, first.max_tokens
        );
        Console::out(&text)?;
        Ok(Exit::Done)
    }

    /// Runs the passes. Until the answer begins there is nothing to keep, and signals end the process as they do any other,
    /// at once; from then on they end the run, so that what came is reported.
    fn execute(
        &self,
        plan: &Plan,
        setup: &Setup,
        document: &str,
        engine: &mut Llama,
        reporter: &mut dyn Reporter,
    ) -> Result<(Report, Signals), Failure> {
        let bar = self.session.console.progress("reading the document", Unit::Steps);
        let mut signals = Signals::default();
        let mut broken: Option<io::Error> = None;
        let result = run::execute(plan, setup.adapters.clone(), document, engine, &mut |event| {
            show(&bar, &event);
            let answering = matches!(event, Event::Step { last: true, step: Step::Token(_) });
            let heard = if answering { signals.listen() } else { Ok(()) };
            if let Err(error) = heard.and_then(|()| reporter.event(&event)) {
                broken = Some(error);
                return ControlFlow::Break(());
            }
            match signals.received() {
                Some(_) => ControlFlow::Break(()),
                None => ControlFlow::Continue(()),
            }
        });
        bar.finish_and_clear();
        if let Some(error) = broken {
            return Err(error.into());
        }
        Ok((result?, signals))
    }
}

/// Moves the progress bar; the answer's first text takes its place.
fn show(bar: &ProgressBar, event: &Event<'_>) {
    match event {
        Event::PassStarted { index, of, task } => {
            bar.reset();
            if *of > 1 {
                bar.set_message(sanitize(&format!("pass {} of {of}: {task}", index + 1)));
            }
        }
        Event::Step { step: Step::Prefill { done, total }, .. } => {
            bar.set_length(*total as u64);
            bar.set_position(*done as u64);
        }
        Event::Step { last: true, step: Step::Token(_) } => {
            if !bar.is_finished() {
                bar.finish_and_clear();
            }
        }
        Event::Step { last: false, step: Step::Token(_) } => bar.tick(),
    }
}

/// What will be run, in a line.
fn announce(plan: &Plan) -> String {
    let what = if plan.combination.is_empty() { "prompt as given" } else { &plan.combination };
    let passes = plan.passes.len();
    format!(
        "{what} with {}: {}, {passes} pass{}",
        plan.base.name,
        plan.strategy.name(),
        if passes == 1 { "" } else { "es" }
    )
}

/// `FILE` or `FILE:SCALE`. A colon that is part of a file's name is left alone where the file exists.
fn lora(text: &str) -> Result<(PathBuf, f32), Failure> {
    let whole = PathBuf::from(text);
    if whole.is_file() {
        return Ok((whole, 1.0));
    }
    if let Some((file, scale)) = text.rsplit_once(':')
        && let Ok(scale) = scale.parse::<f32>()
    {
        return match scale.is_finite() {
            true => Ok((PathBuf::from(file), scale)),
            false => Err(Failure::new(Exit::Usage, format!("`{text}`: the scale is not a finite number"))),
        };
    }
    Ok((whole, 1.0))
}
