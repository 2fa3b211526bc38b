//! The methods that can be compared. A new one is a file here and a line in [`ALL`].

mod adapters;
mod calibrated;
mod in_context;
mod joint;
mod strategies;

use std::path::PathBuf;

use crate::config::Config;
use crate::data::Pair;
use crate::library::Library;
use crate::paths::Paths;
use crate::plan::{Ask, Plan, PlanError};
use crate::strategy;
use crate::task::Combination;

/// What methods work from.
#[derive(Debug)]
pub struct Setting<'a> {
    /// Model, sampling and limits; tasks and method are the methods' own.
    pub ask: &'a Ask,
    /// The configuration.
    pub config: &'a Config,
    /// Where things lie.
    pub paths: &'a Paths,
    /// The name that the base model's adapters are found by.
    pub model: &'a str,
    /// The tasks to do at once.
    pub combination: &'a Combination,
    /// Worked examples to show in the prompt.
    pub shots: &'a [Pair],
}

impl Setting<'_> {
    fn library(&self) -> Library<'_> {
        Library { model: self.model, config: self.config, folders: &self.paths.adapters }
    }

    /// The question for this combination, without weights; callers fill in adapters.
    fn ask(&self, method: strategy::Method) -> Ask {
        Ask { tasks: vec![self.combination.id()], method, weights: Vec::new(), ..self.ask.clone() }
    }

    /// The adapter for a task, or for a combination that was trained as one.
    fn adapter(&self, task: &str) -> Result<PathBuf, PlanError> {
        let none = || PlanError::NoAdapter {
            method: strategy::Method::Concat,
            task: task.to_owned(),
            model: self.model.to_owned(),
        };
        self.library().adapter(task)?.ok_or_else(none)
    }

    /// One pass with these adapters and the combination's prompt.
    fn with_adapters(&self, paths: Vec<PathBuf>) -> Result<Plan, PlanError> {
        let loras = paths.into_iter().map(|path| (path, 1.0)).collect();
        self.resolve(&Ask { loras, ..self.ask(strategy::Method::Concat) })
    }

    fn resolve(&self, ask: &Ask) -> Result<Plan, PlanError> {
        Plan::resolve(ask, self.config, self.paths)
    }
}

/// A way to do several tasks on one document.
pub trait Method: std::fmt::Debug + Sync {
    /// Its name on the command line.
    fn name(&self) -> &'static str;

    /// Its name in tables.
    fn title(&self) -> &'static str;

    /// The passes it takes, with which adapters.
    fn plan(&self, setting: &Setting<'_>) -> Result<Plan, PlanError>;

    /// The text that takes the document's place in the prompt.
    fn document(&self, _setting: &Setting<'_>, document: &str) -> String {
        document.to_owned()
    }

    /// The file that it stores for this combination beside the tasks' adapters.
    fn stored(&self, _setting: &Setting<'_>) -> Result<Option<PathBuf>, PlanError> {
        Ok(None)
    }
}

/// All methods, in the order of tables.
pub const ALL: [&dyn Method; 12] = [
    &strategies::PROMPT,
    &adapters::MAIN,
    &adapters::AUXILIARY,
    &in_context::InContext,
    &strategies::LINEAR,
    &strategies::CONCAT,
    &strategies::MULTI_STEP,
    &joint::JointExpert,
    &calibrated::VECTOR,
    &calibrated::LOW_RANK,
    &calibrated::SHARED_VECTOR,
    &calibrated::SHARED,
];

/// The method of this name.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static dyn Method> {
    ALL.into_iter().find(|method| method.name() == name)
}
