//! Tasks and combinations of them, and the instruction that each puts before the document.
//!
//! A combination is at most one main task, which reads the document, and any number of shaping tasks. What tasks there
//! are is configuration ([`Spec`]); nothing here knows one by name.

mod language;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use language::Language;

use crate::suggest::nearest;

/// The place in a task's texts where the language's name goes.
const LANGUAGE: &str = "{language}";

/// What a task does in a combination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Reads the document: summarize, reply.
    Main,
    /// Shapes the output: translate, a tone.
    Shaping,
}

/// A task as configured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// What it does in a combination.
    pub kind: Kind,
    /// The instruction of the task alone, a sentence.
    pub instruction: String,
    /// What it adds to another task's instruction; a shaping task without one cannot be combined.
    pub phrase: Option<String>,
    /// The most tokens of its answer, where it differs from the general limit.
    pub max_tokens: Option<u32>,
    /// The penalty on tokens that already came out, where it differs from the general one.
    pub repeat_penalty: Option<f32>,
}

impl Spec {
    /// Whether it takes a language, as `translate:es` does.
    #[must_use]
    pub fn takes_language(&self) -> bool {
        self.instruction.contains(LANGUAGE)
    }
}

/// All tasks there are, with instructions of combinations that do not follow the rule.
#[derive(Debug, Clone, Copy)]
pub struct Catalogue<'a> {
    /// Tasks by name.
    pub tasks: &'a BTreeMap<String, Spec>,
    /// Instructions by combination.
    pub instructions: &'a BTreeMap<String, String>,
}

/// One task, its language filled in.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// Its name with its language's code: `translate:es`.
    pub id: String,
    /// What it does in a combination.
    pub kind: Kind,
    /// The language it takes, where it takes one.
    pub language: Option<Language>,
    /// The most tokens of its answer, where it differs from the general limit.
    pub max_tokens: Option<u32>,
    /// The penalty on tokens that already came out, where it differs from the general one.
    pub repeat_penalty: Option<f32>,
    instruction: String,
    phrase: Option<String>,
}

/// Tasks that are done in one go: the main task first, then languages, then the other shaping tasks as they were given.
#[derive(Debug, Clone, PartialEq)]
pub struct Combination {
    tasks: Vec<Task>,
    instruction: String,
}

/// Why what was asked for is no combination.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum TaskError {
    #[error("no task was given")]
    Empty,
    #[error("`{asked}` is no task{}; `nfold tasks` lists them", hint(.nearest.as_deref()))]
    Unknown { asked: String, nearest: Option<String> },
    #[error("`{task}` needs a language, as in `{task}:es`")]
    NoLanguage { task: String },
    #[error("`{asked}` is no language{}; give a code (`es`) or an English name (`spanish`)", hint(.nearest.as_deref()))]
    Language { asked: String, nearest: Option<String> },
    #[error("`{0}` was given twice")]
    Twice(String),
    #[error("`{0}` and `{1}` are both main tasks; a combination has at most one")]
    TwoMains(String, String),
    #[error("`{0}` and `{1}` both set the language of the output")]
    TwoLanguages(String, String),
    #[error("`{0}` has no `phrase` in the configuration, so it cannot be combined with other tasks")]
    NoPhrase(String),
}

fn hint(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |name| format!(" (did you mean `{name}`?)"))
}

impl Catalogue<'_> {
    /// One task from its name, `summarize` or `translate:spanish`.
    pub fn task(&self, asked: &str) -> Result<Task, TaskError> {
        let asked = asked.trim().to_lowercase();
        if let Some(spec) = self.tasks.get(&asked) {
            return match spec.takes_language() {
                true => Err(TaskError::NoLanguage { task: asked }),
                false => Ok(build(asked, spec, None)),
            };
        }
        let with_language = asked.split_once(':').and_then(|(name, language)| {
            let spec = self.tasks.get(name).filter(|spec| spec.takes_language())?;
            Some((name, language, spec))
        });
        let Some((name, language, spec)) = with_language else {
            let nearest = nearest(&asked, self.examples().iter().map(String::as_str));
            return Err(TaskError::Unknown { asked, nearest });
        };
        let language = Language::parse(language).map_err(|nearest| TaskError::Language {
            asked: language.to_owned(),
            nearest: nearest.map(str::to_owned),
        })?;
        Ok(build(format!("{name}:{}", language.code()), spec, Some(language)))
    }

    /// Every task's name, those that take a language with three of them.
    #[must_use]
    pub fn examples(&self) -> Vec<String> {
        let names = |(name, spec): (&String, &Spec)| match spec.takes_language() {
            true => ["es", "fr", "de"].iter().map(|code| format!("{name}:{code}")).collect(),
            false => vec![name.clone()],
        };
        self.tasks.iter().flat_map(names).collect()
    }

    /// A combination from the names of its tasks; each may itself be a combination, `summarize+translate:es`, or a list.
    pub fn combination<S: AsRef<str>>(&self, asked: &[S]) -> Result<Combination, TaskError> {
        let names =
            asked.iter().flat_map(|text| text.as_ref().split(['+', ','])).filter(|name| !name.trim().is_empty());
        let mut tasks = names.map(|name| self.task(name)).collect::<Result<Vec<_>, _>>()?;
        if tasks.is_empty() {
            return Err(TaskError::Empty);
        }
        tasks.sort_by_key(|task| (task.kind == Kind::Shaping, task.language.is_none()));
        check(&tasks)?;
        let id = join(&tasks);
        let instruction = match self.instructions.get(&id) {
            Some(instruction) => instruction.clone(),
            None => instruction(&tasks)?,
        };
        Ok(Combination { tasks, instruction })
    }
}

fn build(id: String, spec: &Spec, language: Option<Language>) -> Task {
    let name = language.as_ref().map_or("", Language::name);
    Task {
        id,
        kind: spec.kind,
        max_tokens: spec.max_tokens,
        repeat_penalty: spec.repeat_penalty,
        instruction: spec.instruction.replace(LANGUAGE, name),
        phrase: spec.phrase.as_ref().map(|phrase| phrase.replace(LANGUAGE, name)),
        language,
    }
}

fn check(tasks: &[Task]) -> Result<(), TaskError> {
    for (place, task) in tasks.iter().enumerate() {
        let before = &tasks[..place];
        if before.iter().any(|other| other.id == task.id) {
            return Err(TaskError::Twice(task.id.clone()));
        }
        if let Some(other) = before.iter().find(|other| other.kind == Kind::Main && task.kind == Kind::Main) {
            return Err(TaskError::TwoMains(other.id.clone(), task.id.clone()));
        }
        if let Some(other) = before.iter().find(|other| other.language.is_some() && task.language.is_some()) {
            return Err(TaskError::TwoLanguages(other.id.clone(), task.id.clone()));
        }
    }
    Ok(())
}

fn join(tasks: &[Task]) -> String {
    tasks.iter().map(|task| task.id.as_str()).collect::<Vec<_>>().join("+")
}

/// The first task's sentence with the others' phrases before its full stop:
/// "Summarize the following text" + " in Spanish" + ", in a casual tone" + ".".
fn instruction(tasks: &[Task]) -> Result<String, TaskError> {
    let [first, rest @ ..] = tasks else {
        return Err(TaskError::Empty);
    };
    if rest.is_empty() {
        return Ok(first.instruction.clone());
    }
    let phrase = |task: &Task| task.phrase.clone().ok_or_else(|| TaskError::NoPhrase(task.id.clone()));
    let phrases = rest.iter().map(phrase).collect::<Result<Vec<_>, _>>()?;
    let sentence = first.instruction.trim_end().trim_end_matches('.');
    let joint = if first.kind == Kind::Main { " " } else { ", " };
    Ok(format!("{sentence}{joint}{}.", phrases.join(", ")))
}

impl Combination {
    /// Its name: the tasks' names joined with `+`.
    #[must_use]
    pub fn id(&self) -> String {
        join(&self.tasks)
    }

    /// Its tasks, the main task first.
    #[must_use]
    pub fn tasks(&self) -> &[Task] {
        &self.tasks
    }

    /// The user message for a document: instruction, empty line, text.
    #[must_use]
    pub fn user_message(&self, document: &str) -> String {
        format!("{}\n\n{}", self.instruction, document.trim())
    }

    /// The most tokens of its answer: the main task's own limit, else the smallest of its shaping tasks', else `general`.
    #[must_use]
    pub fn max_tokens(&self, general: u32) -> u32 {
        if self.tasks.iter().any(|task| task.kind == Kind::Main && task.max_tokens.is_none()) {
            return general;
        }
        let main = self.tasks.iter().find(|task| task.kind == Kind::Main).and_then(|task| task.max_tokens);
        main.or_else(|| self.tasks.iter().filter_map(|task| task.max_tokens).min()).unwrap_or(general)
    }

    /// The penalty on tokens that already came out: the first task's that sets one, the main task before the others.
    #[must_use]
    pub fn repeat_penalty(&self) -> Option<f32> {
        self.tasks.iter().find_map(|task| task.repeat_penalty)
    }

    /// The tasks as combinations of one, in the order in which multi-step does them: the main task, tones, then the
    /// language, because adapters for tones are trained on English.
    #[must_use]
    pub fn steps(&self) -> Vec<Self> {
        let mut tasks = self.tasks.clone();
        tasks.sort_by_key(|task| (task.kind == Kind::Shaping, task.language.is_some()));
        tasks.into_iter().map(|task| Self { instruction: task.instruction.clone(), tasks: vec![task] }).collect()
    }
}
