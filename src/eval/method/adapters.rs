//! One of the combination's adapters alone, with the combination's prompt.

use crate::plan::{Plan, PlanError};
use crate::strategy;
use crate::task::Kind;

use super::{Method, Setting};

#[derive(Debug)]
pub(super) struct OneAdapter {
    name: &'static str,
    title: &'static str,
    kind: Kind,
}

pub(super) const MAIN: OneAdapter = OneAdapter { name: "main", title: "Main-task adapter", kind: Kind::Main };
pub(super) const AUXILIARY: OneAdapter =
    OneAdapter { name: "auxiliary", title: "Auxiliary-task adapter", kind: Kind::Shaping };

impl Method for OneAdapter {
    fn name(&self) -> &'static str {
        self.name
    }

    fn title(&self) -> &'static str {
        self.title
    }

    fn plan(&self, setting: &Setting<'_>) -> Result<Plan, PlanError> {
        let mut ask = setting.ask();
        ask.method = strategy::Method::Concat;
        ask.weights.clear();
        for task in setting.combination.tasks().iter().filter(|task| task.kind == self.kind) {
            let Some(path) = setting.library().adapter(&task.id)? else {
                let (task, model) = (task.id.clone(), setting.model.to_owned());
                return Err(PlanError::NoAdapter { method: ask.method, task, model });
            };
            ask.loras.push((path, 1.0));
        }
        setting.resolve(&ask)
    }
}
