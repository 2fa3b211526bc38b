//! No adapter, but worked examples in the prompt.

use crate::plan::{Plan, PlanError};

use super::{Method, Setting, strategies};

#[derive(Debug)]
pub(super) struct InContext;

impl Method for InContext {
    fn name(&self) -> &'static str {
        "in-context"
    }

    fn title(&self) -> &'static str {
        "In-context learning"
    }

    fn plan(&self, setting: &Setting<'_>) -> Result<Plan, PlanError> {
        strategies::PROMPT.plan(setting)
    }

    fn document(&self, setting: &Setting<'_>, document: &str) -> String {
        let shots = setting.shots.iter().map(|shot| format!("Text:\n{}\n\nAnswer:\n{}\n\n", shot.input, shot.output));
        format!("{}Text:\n{document}\n\nAnswer:", shots.collect::<String>())
    }
}
