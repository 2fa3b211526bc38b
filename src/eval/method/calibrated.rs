//! Merged adapters with a learned calibration: a vector or low-rank, of one combination or shared by several.

use std::path::PathBuf;

use crate::library::Variant;
use crate::plan::{Ask, Plan, PlanError};
use crate::strategy;

use super::{Method, Setting};

#[derive(Debug)]
pub(super) struct Calibrated {
    name: &'static str,
    title: &'static str,
    variant: Variant,
}

pub(super) const VECTOR: Calibrated =
    Calibrated { name: "calibrated", title: "Learnable Calibration", variant: Variant::Vector };
pub(super) const LOW_RANK: Calibrated =
    Calibrated { name: "calibrated++", title: "Learnable Calibration++", variant: Variant::LowRank };
pub(super) const SHARED_VECTOR: Calibrated =
    Calibrated { name: "shared", title: "Shared Learnable Calibration", variant: Variant::SharedVector };
pub(super) const SHARED: Calibrated =
    Calibrated { name: "shared++", title: "Shared Learnable Calibration++", variant: Variant::SharedLowRank };

impl Method for Calibrated {
    fn name(&self) -> &'static str {
        self.name
    }

    fn title(&self) -> &'static str {
        self.title
    }

    fn plan(&self, setting: &Setting<'_>) -> Result<Plan, PlanError> {
        let calibration = self.stored(setting)?;
        if calibration.is_none() {
            let (combination, model) = (setting.combination.id(), setting.model.to_owned());
            return Err(PlanError::NoCalibration { combination, model });
        }
        setting.resolve(&Ask { calibration, ..setting.ask(strategy::Method::Calibrated) })
    }

    fn stored(&self, setting: &Setting<'_>) -> Result<Option<PathBuf>, PlanError> {
        Ok(setting.library().calibration_of(&setting.combination.id(), self.variant)?)
    }
}
