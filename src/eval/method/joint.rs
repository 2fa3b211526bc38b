//! An adapter that was trained on the combination itself: the strongest single pass, at an adapter's size for each.

use std::path::PathBuf;

use crate::plan::{Plan, PlanError};

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
        setting.with_adapters(vec![setting.adapter(&setting.combination.id())?])
    }

    fn stored(&self, setting: &Setting<'_>) -> Result<Option<PathBuf>, PlanError> {
        Ok(setting.library().adapter(&setting.combination.id())?)
    }
}
