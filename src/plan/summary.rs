//! A plan in the few words that people are shown before it runs.

use std::fs;

use serde::{Deserialize, Serialize};

use crate::compose::Recipe;

use super::Plan;

/// What a plan comes to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The base model's name.
    pub model: String,
    /// The combination's name.
    pub combination: String,
    /// What the method came to.
    pub strategy: String,
    /// Passes through the model.
    pub passes: usize,
    /// Tasks whose adapters are used, with their weights, in order.
    pub adapters: Vec<(String, f32)>,
    /// Whether a calibration corrects the merge.
    pub calibrated: bool,
    /// What is stored for this combination beside its tasks' adapters: the calibration's file, in bytes.
    pub extra_bytes: u64,
    /// The repetition penalty of each pass.
    pub penalties: Vec<f32>,
    /// The most tokens of the answer.
    pub max_tokens: u32,
    /// What the user should know about the choice.
    pub notes: Vec<String>,
}

impl Summary {
    /// Of a plan.
    #[must_use]
    pub fn of(plan: &Plan) -> Self {
        let recipes = || plan.passes.iter().filter_map(|pass| pass.recipe.as_ref());
        let ingredients = recipes().flat_map(|recipe: &Recipe| &recipe.ingredients);
        let calibration = recipes().find_map(|recipe| recipe.calibration.as_ref());
        Self {
            model: plan.base.name.clone(),
            combination: plan.combination.clone(),
            strategy: plan.strategy.name().to_owned(),
            passes: plan.passes.len(),
            adapters: ingredients.map(|part| (part.name.clone(), part.weight)).collect(),
            calibrated: calibration.is_some(),
            extra_bytes: calibration.and_then(|file| fs::metadata(&file.path).ok()).map_or(0, |about| about.len()),
            penalties: plan.passes.iter().map(|pass| pass.sampling.repeat_penalty).collect(),
            max_tokens: plan.passes.last().map_or(0, |pass| pass.max_tokens),
            notes: plan.notes.clone(),
        }
    }
}
