//! An adapter that was trained on the combination itself: the strongest single pass, at an adapter's size for each.

use std::path::PathBuf;

use crate::plan::{Plan, PlanError};
use crate::strategy;

use super::{Method, Setting};

#[derive(Debug)]
pub(super) struct JointExpert;

impl Method for JointExpert {
    fn name(&self) -> &'static str {
        "joint"
    }

    fn title(&self) -> &'static str {
        "Joint-expert adapter"
    }

    fn plan(&self, setting: &Setting<'_>) -> Result<Plan, PlanError> {
        let mut ask = setting.ask();
        ask.method = strategy::Method::Concat;
        ask.weights.clear();
        let Some(path) = self.stored(setting)? else {
            let (task, model) = (setting.combination.id(), setting.model.to_owned());
            return Err(PlanError::NoAdapter { method: ask.method, task, model });
        };
        ask.loras.push((path, 1.0));
        setting.resolve(&ask)
    }

    fn stored(&self, setting: &Setting<'_>) -> Result<Option<PathBuf>, PlanError> {
        Ok(setting.library().adapter(&setting.combination.id())?)
    }
}
