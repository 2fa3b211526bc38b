//! What is to be done: tasks, model, method, settings.

use crate::config::Config;
use crate::plan::Ask;
use crate::strategy::Method;
use crate::task::{Kind, TaskError};

/// A task in the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) id: String,
    pub(crate) main: bool,
    pub(crate) on: bool,
    /// Why it does not go with what is on.
    pub(crate) blocked: Option<String>,
}

/// What the user chose.
#[derive(Debug, Clone)]
pub(crate) struct Choice {
    items: Vec<Item>,
    cursor: usize,
    pub(crate) model: String,
    pub(crate) method: Method,
    /// Weights of the adapters in the combination's order; empty for the usual ones.
    pub(crate) weights: Vec<f32>,
    pub(crate) max_tokens: Option<u32>,
    pub(crate) repeat_penalty: Option<f32>,
    pub(crate) temperature: f32,
    pub(crate) top_p: f32,
    pub(crate) seed: u32,
}

impl Choice {
    /// What the configuration says, with its first main task.
    pub(crate) fn new(config: &Config, model: Option<&str>) -> Self {
        let catalogue = config.catalogue();
        let kind = |id: &str| catalogue.task(id).map_or(Kind::Shaping, |task| task.kind);
        let item = |id: String| Item { main: kind(&id) == Kind::Main, id, on: false, blocked: None };
        let mut items: Vec<Item> = catalogue.examples().into_iter().map(item).collect();
        // Main tasks first, summaries before replies; then languages before tones.
        items.sort_by_key(|item| (!item.main, item.main && item.id != "summarize", !item.id.starts_with("translate:")));
        let ask = Ask::of(config, model);
        let mut choice = Self {
            items,
            cursor: 0,
            model: ask.model,
            method: ask.method,
            weights: Vec::new(),
            max_tokens: None,
            repeat_penalty: None,
            temperature: ask.sampling.temperature,
            top_p: ask.sampling.top_p,
            seed: ask.sampling.seed,
        };
        choice.toggle(0, config);
        choice
    }

    pub(crate) fn items(&self) -> &[Item] {
        &self.items
    }

    pub(crate) fn cursor(&self) -> usize {
        self.cursor
    }

    pub(crate) fn step(&mut self, by: isize) {
        self.cursor = self.cursor.saturating_add_signed(by).min(self.items.len().saturating_sub(1));
    }

    /// The tasks that are on.
    pub(crate) fn tasks(&self) -> Vec<String> {
        self.items.iter().filter(|item| item.on).map(|item| item.id.clone()).collect()
    }

    /// Turns a task on or off. Another main task takes the place of the one before, another language that of the one before;
    /// what does not go with what is on stays off, and the reason is given.
    pub(crate) fn toggle(&mut self, index: usize, config: &Config) -> Option<String> {
        let item = self.items.get(index)?.clone();
        self.cursor = index;
        if item.on {
            self.items[index].on = false;
        } else {
            let before = self.items.clone();
            if item.main {
                self.items.iter_mut().filter(|other| other.main).for_each(|other| other.on = false);
            }
            self.items[index].on = true;
            if let Err(TaskError::TwoLanguages(one, other)) = config.catalogue().combination(&self.tasks()) {
                self.items
                    .iter_mut()
                    .filter(|own| own.id != item.id && (own.id == one || own.id == other))
                    .for_each(|own| own.on = false);
            }
            if let Err(error) = config.catalogue().combination(&self.tasks()) {
                self.items = before;
                return Some(error.to_string());
            }
        }
        self.weights.clear();
        self.mark(config);
        None
    }

    /// Adds a language to the list and turns it on.
    pub(crate) fn add(&mut self, task: &str, config: &Config) -> Result<(), String> {
        let task = config.catalogue().task(task).map_err(|error| error.to_string())?;
        let at = self.items.iter().position(|item| item.id == task.id);
        let at = at.unwrap_or_else(|| {
            let behind = self.items.iter().rposition(|item| item.id.starts_with("translate:"));
            let at = behind.map_or(self.items.len(), |last| last + 1);
            self.items
                .insert(at, Item { id: task.id.clone(), main: task.kind == Kind::Main, on: false, blocked: None });
            at
        });
        match self.items[at].on {
            true => Ok(()),
            false => self.toggle(at, config).map_or(Ok(()), Err),
        }
    }

    /// Turns exactly these tasks on.
    pub(crate) fn set(&mut self, combination: &str, config: &Config) {
        self.items.iter_mut().for_each(|item| item.on = false);
        for task in combination.split('+') {
            drop(self.add(task, config));
        }
    }

    /// Finds out what goes with what is on. One language takes another's place, so languages never block each other.
    fn mark(&mut self, config: &Config) {
        let catalogue = config.catalogue();
        let on = self.tasks();
        for item in &mut self.items {
            let mut with = on.clone();
            with.push(item.id.clone());
            item.blocked = match (item.on || item.main, catalogue.combination(&with)) {
                (true, _) | (_, Ok(_) | Err(TaskError::TwoLanguages(..))) => None,
                (false, Err(error)) => Some(error.to_string()),
            };
        }
    }

    /// Whether a method merges adapters with weights.
    pub(crate) fn weighs(&self) -> bool {
        matches!(self.method, Method::Linear | Method::Concat) && self.tasks().len() > 1
    }

    /// The question for a method.
    pub(crate) fn ask(&self, method: Method, config: &Config) -> Ask {
        let ask = Ask::of(config, Some(&self.model));
        let weighs = matches!(method, Method::Linear | Method::Concat);
        let mut sampling = ask.sampling.clone();
        (sampling.temperature, sampling.top_p, sampling.seed) = (self.temperature, self.top_p, self.seed);
        Ask {
            tasks: self.tasks(),
            method,
            weights: if weighs { self.weights.clone() } else { Vec::new() },
            sampling,
            repeat_penalty: self.repeat_penalty,
            max_tokens: self.max_tokens,
            ..ask
        }
    }

    /// The repetition penalty of what is on, in one pass.
    pub(crate) fn penalty(&self, config: &Config) -> f32 {
        let combination = config.catalogue().combination(&self.tasks());
        self.ask(self.method, config).penalty(combination.ok().as_ref())
    }

    /// How tokens are chosen in one pass, in words.
    pub(crate) fn settings(&self, config: &Config) -> String {
        settings(&self.ask(self.method, config), &[self.penalty(config)])
    }
}

/// How tokens are chosen, in words, with the repetition penalty of each pass.
pub(super) fn settings(ask: &Ask, penalties: &[f32]) -> String {
    let sampling = &ask.sampling;
    let how = match sampling.temperature > 0.0 {
        true => {
            format!("temperature {:.1}, top-p {:.2}, seed {}", sampling.temperature, sampling.top_p, sampling.seed)
        }
        false => "greedy".to_owned(),
    };
    let mut penalties: Vec<_> = penalties.iter().map(|penalty| format!("{penalty:.2}")).collect();
    penalties.dedup();
    let limit = ask.max_tokens.map(|limit| format!(", at most {limit} tokens"));
    format!("{how}, repeat penalty {}{}", penalties.join(" then "), limit.unwrap_or_default())
}
