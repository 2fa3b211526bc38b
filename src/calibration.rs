//! Learnable Calibration: a tiny learned correction of merged adapters (not the calibration of quantisation).
//!
//! For each module type m one correction is shared by all layers ℓ (Bohdal et al., EMNLP 2025):
//! - [`Correction::Vector`]: ΔW'_(ℓ,m) = ΔW_(ℓ,m) + `p_m` · 1ᵀ, `p_m` ∈ R^(d_out), added to every column;
//! - [`Correction::LowRank`], the paper's "++": ΔW'_(ℓ,m) = ΔW_(ℓ,m) + `P2_m` · `P1_m`, `P1_m` ∈ R^(4 × d_in), `P2_m` ∈ R^(d_out × 4).
//!
//! Both stay low-rank, so the result is an ordinary adapter of rank r + 1 or r + 4.

mod file;

use std::collections::BTreeMap;

pub use file::{CalibrationError, read, read_card, write};

use crate::adapter::{Adapter, Matrix, Pair, module_type};
use crate::digest::Digest;
use crate::merge::Method;

/// The correction of one module type.
#[derive(Debug, Clone, PartialEq)]
pub enum Correction {
    /// p, one number for each output.
    Vector(Vec<f32>),
    /// P1 (rank × `d_in`) and P2 (`d_out` × rank).
    LowRank {
        /// P1.
        p1: Matrix,
        /// P2.
        p2: Matrix,
    },
}

impl Correction {
    /// Whether it changes nothing.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        let zero = |numbers: &[f32]| numbers.iter().all(|number| *number == 0.0);
        match self {
            Self::Vector(p) => zero(p),
            Self::LowRank { p1, p2 } => zero(p1.data()) || zero(p2.data()),
        }
    }

    /// How many numbers were learned.
    #[must_use]
    pub fn parameters(&self) -> usize {
        match self {
            Self::Vector(p) => p.len(),
            Self::LowRank { p1, p2 } => p1.data().len() + p2.data().len(),
        }
    }
}

/// What a calibration was learned for. It fits nothing else.
#[derive(Debug, Clone, PartialEq)]
pub struct Fit {
    /// The combinations it serves, `summarize+translate:es`; more than one where it is shared.
    pub combinations: Vec<String>,
    /// The merge method beneath it.
    pub method: Method,
    /// The adapters' weights in that merge, in the order of a combination's tasks.
    pub weights: Vec<f32>,
    /// The base model's file.
    pub base: Digest,
    /// The adapters' files, by task.
    pub adapters: BTreeMap<String, Digest>,
}

/// A learned correction and what it was learned for.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibration {
    /// The base model's architecture.
    pub architecture: String,
    /// What it fits.
    pub fit: Fit,
    /// The corrections by module type: `attn_q`, `ffn_down`, …
    pub corrections: BTreeMap<String, Correction>,
}

/// Why a calibration does not belong to what it is to be applied to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum FitError {
    #[error("was learned for {learned}, not for {asked}")]
    Combination { learned: String, asked: String },
    #[error("was learned on base model {learned}, this one is {found} (sha256)")]
    Base { learned: String, found: String },
    #[error("was learned on another adapter for {task} ({learned}, this one is {found})")]
    Adapter { task: String, learned: String, found: String },
    #[error("holds {weights} weights for {tasks} tasks")]
    Weights { weights: usize, tasks: usize },
    #[error(
        "corrects `{module}` with {inputs} inputs and {outputs} outputs; `{tensor}` has {tensor_inputs} and {tensor_outputs}"
    )]
    Shape { module: String, inputs: usize, outputs: usize, tensor: String, tensor_inputs: usize, tensor_outputs: usize },
    #[error("corrects `{module}`, which the merged adapter does not change")]
    NoModule { module: String },
}

impl Calibration {
    /// Checks that it was learned for this combination of adapters (in the combination's order) on this base model.
    pub fn check(&self, combination: &str, base: Digest, adapters: &[(String, Digest)]) -> Result<(), FitError> {
        let fit = &self.fit;
        if !fit.combinations.iter().any(|served| served == combination) {
            return Err(FitError::Combination { learned: fit.combinations.join(", "), asked: combination.to_owned() });
        }
        if fit.base != base {
            return Err(FitError::Base { learned: fit.base.short(), found: base.short() });
        }
        for (task, found) in adapters {
            let learned = fit.adapters.get(task);
            if learned != Some(found) {
                let learned = learned.map_or_else(|| "none".to_owned(), Digest::short);
                return Err(FitError::Adapter { task: task.clone(), learned, found: found.short() });
            }
        }
        if fit.weights.len() != adapters.len() {
            return Err(FitError::Weights { weights: fit.weights.len(), tasks: adapters.len() });
        }
        Ok(())
    }

    /// Adds the correction to a merged adapter, whose scalings must be folded in (alpha zero), as [`crate::merge::merge`] does.
    ///
    /// Module types whose correction is zero are left as they are, bit for bit: they gain no rank.
    pub fn apply(&self, merged: Adapter) -> Result<Adapter, FitError> {
        debug_assert!(merged.alpha == 0.0, "scalings must be folded in");
        if let Some(module) = self.corrections.keys().find(|module| !changes(&merged, module)) {
            return Err(FitError::NoModule { module: module.clone() });
        }
        let mut pairs = BTreeMap::new();
        for (target, pair) in merged.pairs {
            let found = module_type(&target).and_then(|module| self.corrections.get_key_value(module));
            let pair = match found {
                Some((module, correction)) => correct(module, correction, &target, pair)?,
                None => pair,
            };
            pairs.insert(target, pair);
        }
        Ok(Adapter { pairs, ..merged })
    }

    /// How many numbers were learned: Σ `d_out`, or 4 · Σ (`d_in` + `d_out`), over module types.
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.corrections.values().map(Correction::parameters).sum()
    }
}

fn changes(adapter: &Adapter, module: &str) -> bool {
    adapter.pairs.keys().any(|target| module_type(target) == Some(module))
}

/// Puts one module type's correction beside one pair.
fn correct(module: &str, correction: &Correction, target: &str, pair: Pair) -> Result<Pair, FitError> {
    let (tensor_inputs, tensor_outputs) = (pair.a.columns(), pair.b.rows());
    let (inputs, outputs) = match correction {
        Correction::Vector(p) => (tensor_inputs, p.len()),
        Correction::LowRank { p1, p2 } => (p1.columns(), p2.rows()),
    };
    if (inputs, outputs) != (tensor_inputs, tensor_outputs) {
        let (module, tensor) = (module.to_owned(), target.to_owned());
        return Err(FitError::Shape { module, inputs, outputs, tensor, tensor_inputs, tensor_outputs });
    }
    if correction.is_zero() {
        return Ok(pair);
    }
    let ones = Matrix::filled(1, inputs, 1.0);
    let column;
    let (p1, p2) = match correction {
        Correction::Vector(p) => {
            column = Matrix::column(p.clone());
            (&ones, &column)
        }
        Correction::LowRank { p1, p2 } => (p1, p2),
    };
    Ok(Pair { a: Matrix::stack(&[(&pair.a, 1.0), (p1, 1.0)]), b: Matrix::beside(&[&pair.b, p2]) })
}
