//! One of the combination's adapters alone, with the combination's prompt.

use crate::plan::{Plan, PlanError};
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
        let tasks = setting.combination.tasks().iter().filter(|task| task.kind == self.kind);
        setting.with_adapters(tasks.map(|task| setting.adapter(&task.id)).collect::<Result<_, _>>()?)
    }
}
