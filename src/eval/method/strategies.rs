//! The methods that a run has too, under its own names.

use crate::plan::{Ask, Plan, PlanError};
use crate::strategy;

use super::{Method, Setting};

#[derive(Debug)]
pub(super) struct Strategy {
    name: &'static str,
    title: &'static str,
    method: strategy::Method,
}

pub(super) const PROMPT: Strategy = Strategy { name: "prompt", title: "Zero-shot", method: strategy::Method::Prompt };
pub(super) const LINEAR: Strategy =
    Strategy { name: "linear", title: "Linear merge", method: strategy::Method::Linear };
pub(super) const CONCAT: Strategy =
    Strategy { name: "concat", title: "Concat merge", method: strategy::Method::Concat };
pub(super) const MULTI_STEP: Strategy =
    Strategy { name: "multi-step", title: "Multi-step", method: strategy::Method::MultiStep };

impl Method for Strategy {
    fn name(&self) -> &'static str {
        self.name
    }

    fn title(&self) -> &'static str {
        self.title
    }

    fn plan(&self, setting: &Setting<'_>) -> Result<Plan, PlanError> {
        let ask = setting.ask(self.method);
        let weights = match self.method {
            strategy::Method::Linear | strategy::Method::Concat => setting.ask.weights.clone(),
            _ => Vec::new(),
        };
        setting.resolve(&Ask { weights, ..ask })
    }
}
