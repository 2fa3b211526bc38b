//! From what was asked to what will be done, with everything checked before anything runs.

mod summary;

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::calibration::{self, Calibration, CalibrationError, FitError};
use crate::compose::{self, CalibrationFile, Ingredient, Recipe};
use crate::config::Config;
use crate::digest::{Digest, Digests};
use crate::engine::Sampling;
use crate::library::{Library, NotThere};
use crate::merge;
use crate::model::{BaseModel, FindError, HeaderError, Store, weights};
use crate::paths::Paths;
use crate::strategy::{Method, Strategy};
use crate::task::{Combination, TaskError};

pub use summary::Summary;

/// What was asked for, by whichever front end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ask {
    /// The base model: a name or a path.
    pub model: String,
    /// The tasks; none where the document itself is the whole prompt, which needs adapters given by path.
    pub tasks: Vec<String>,
    /// How adapters are to be used.
    pub method: Method,
    /// The adapters' weights in the order of the tasks; empty for equal ones that sum to one.
    pub weights: Vec<f32>,
    /// A calibration given by path, instead of the combination's own.
    pub calibration: Option<PathBuf>,
    /// Adapters given by path, with their scales, instead of those of the tasks.
    pub loras: Vec<(PathBuf, f32)>,
    /// A system message.
    pub system: Option<String>,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// The penalty on tokens that already came out; `None` for the tasks' own, else that of `sampling`.
    pub repeat_penalty: Option<f32>,
    /// The most tokens of an answer; `None` for the tasks' own limit.
    pub max_tokens: Option<u32>,
    /// The context in tokens; `None` for what is needed.
    pub context: Option<u32>,
}

impl Ask {
    /// What the configuration says, for a model if one is named; no tasks and nothing of its own yet.
    #[must_use]
    pub fn of(config: &Config, model: Option<&str>) -> Self {
        Self {
            model: model.unwrap_or(&config.model).to_owned(),
            tasks: Vec::new(),
            method: config.method,
            weights: Vec::new(),
            calibration: None,
            loras: Vec::new(),
            system: (!config.system.is_empty()).then(|| config.system.clone()),
            sampling: config.sampling.clone(),
            repeat_penalty: None,
            max_tokens: None,
            context: Some(config.ctx_size).filter(|length| *length > 0),
        }
    }

    /// The repetition penalty of a pass: the one asked for, else the combination's own, else the general one.
    #[must_use]
    pub fn penalty(&self, combination: Option<&Combination>) -> f32 {
        let own = || combination.and_then(Combination::repeat_penalty);
        self.repeat_penalty.or_else(own).unwrap_or(self.sampling.repeat_penalty)
    }
}

/// A base model, found, read and known by its digest.
#[derive(Debug, Clone)]
pub struct Base {
    /// Its name: adapters are looked up by it.
    pub name: String,
    /// The SHA-256 of its file.
    pub sha256: Digest,
    /// What its header says.
    pub header: BaseModel,
}

impl Base {
    /// The file that the engine is to load; makes it where it is a copy that is not there yet.
    #[must_use]
    pub fn to_load(&self, paths: &Paths) -> PathBuf {
        weights::to_load(&self.header.path, self.sha256, &paths.weights())
    }
}

/// One pass that will be run.
#[derive(Debug, Clone, PartialEq)]
pub struct PassPlan {
    /// What it does; `None` where the document is the whole prompt.
    pub combination: Option<Combination>,
    /// The adapter it runs with; `None` for the bare model.
    pub recipe: Option<Recipe>,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// The most tokens it puts out.
    pub max_tokens: u32,
}

/// Everything a run needs, checked.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The base model.
    pub base: Base,
    /// The combination's name; empty where there is none.
    pub combination: String,
    /// The single tasks' names.
    pub tasks: Vec<String>,
    /// What the method came to.
    pub strategy: Strategy,
    /// What the user should know about the choice.
    pub notes: Vec<String>,
    /// The passes; each after the first reads the one before.
    pub passes: Vec<PassPlan>,
    /// As asked.
    pub system: Option<String>,
    /// As asked.
    pub context: Option<u32>,
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum PlanError {
    #[error(transparent)]
    Task(#[from] TaskError),
    #[error(transparent)]
    Find(#[from] FindError),
    #[error(transparent)]
    Header(#[from] HeaderError),
    #[error(transparent)]
    NotThere(#[from] NotThere),
    #[error("cannot read `{path}`: {source}", path = path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error(
        "the model file `{path}` has SHA-256 {found}, `{name}` should have {expected}; it is damaged or another model: \
         fetch it anew, or use it by path under another name", path = path.display(), found = found.short(), expected = expected.short()
    )]
    Hash { name: String, path: PathBuf, found: Digest, expected: Digest },
    #[error(
        "{method} needs an adapter for `{task}`, and there is none for model `{model}`; `nfold adapters list` shows what there is"
    )]
    NoAdapter { method: Method, task: String, model: String },
    #[error(
        "there is no calibration for `{combination}` and model `{model}`; leave `--method` out to use what there is"
    )]
    NoCalibration { combination: String, model: String },
    #[error(transparent)]
    Calibration(#[from] CalibrationError),
    #[error("calibration `{path}` {source}", path = path.display())]
    Fit { path: PathBuf, source: FitError },
    #[error("{weights} weights were given for {adapters} adapters")]
    Weights { weights: usize, adapters: usize },
    #[error("the weight {0} is not a finite number")]
    Weight(f32),
    #[error("`--weights` does not go with {0}: {1}")]
    WeightsUnused(Method, &'static str),
    #[error("`--lora` names the adapters itself; it goes with the methods auto, linear and concat, not with {0}")]
    LoraMethod(Method),
    #[error("no task was given; name one with `--task`, as in `--task summarize+translate:es`")]
    NoTask,
}

/// Finds a base model, reads its header and digests its file; a known model must have its known digest.
pub fn resolve_base(model: &str, config: &Config, paths: &Paths) -> Result<Base, PlanError> {
    let folder = paths.models();
    let store = Store { known: &config.models, folder: &folder, hub: &paths.hub };
    let found = store.find(model)?;
    let header = BaseModel::open(&found.path)?;
    let sha256 = digest(&Digests::in_folder(paths.digests()), &found.path)?;
    if let Some(expected) = found.sha256
        && expected != sha256
    {
        return Err(PlanError::Hash { name: found.name, path: found.path, found: sha256, expected });
    }
    let name = store.name_of(sha256).map_or(found.name, str::to_owned);
    Ok(Base { name, sha256, header })
}

fn digest(digests: &Digests, path: &Path) -> Result<Digest, PlanError> {
    digests.of_file(path).map_err(|source| PlanError::Read { path: path.to_path_buf(), source })
}

impl Plan {
    /// Resolves what was asked for against configuration and folders.
    pub fn resolve(ask: &Ask, config: &Config, paths: &Paths) -> Result<Self, PlanError> {
        // Words first: a wrong task is a wrong task whether or not a model is there.
        let combination = match ask.tasks.is_empty() {
            true if ask.loras.is_empty() => return Err(PlanError::NoTask),
            true => None,
            false => Some(config.catalogue().combination(&ask.tasks)?),
        };
        if let Some(weight) = ask.weights.iter().find(|weight| !weight.is_finite()) {
            return Err(PlanError::Weight(*weight));
        }
        let base = resolve_base(&ask.model, config, paths)?;
        let library = Library { model: &base.name, config, folders: &paths.adapters };
        let digests = Digests::in_folder(paths.digests());
        let resolver = Resolver { ask, config, library, digests, base: &base };
        let (strategy, passes, notes) = match &combination {
            Some(combination) if ask.loras.is_empty() => resolver.by_tasks(combination)?,
            _ => resolver.by_loras(combination.as_ref())?,
        };
        let ids = |combination: &Combination| combination.tasks().iter().map(|task| task.id.clone()).collect();
        Ok(Self {
            combination: combination.as_ref().map_or_else(String::new, Combination::id),
            tasks: combination.as_ref().map_or_else(Vec::new, ids),
            strategy,
            notes,
            passes,
            system: ask.system.clone(),
            context: ask.context,
            base,
        })
    }
}

/// A strategy, its passes, and what the user should know.
type Resolved = (Strategy, Vec<PassPlan>, Vec<String>);

struct Resolver<'a> {
    ask: &'a Ask,
    config: &'a Config,
    library: Library<'a>,
    digests: Digests,
    base: &'a Base,
}

impl Resolver<'_> {
    fn by_tasks(&self, combination: &Combination) -> Result<Resolved, PlanError> {
        let strategy = |strategy, passes| Ok((strategy, passes, Vec::new()));
        match self.ask.method {
            Method::Auto => self.automatic(combination),
            Method::Prompt => strategy(Strategy::Prompt, vec![self.bare(combination)?]),
            Method::Linear => strategy(Strategy::Linear, vec![self.merged(combination, merge::Method::Linear)?]),
            Method::Concat => strategy(Strategy::Concat, vec![self.merged(combination, merge::Method::Concat)?]),
            Method::MultiStep => strategy(Strategy::MultiStep, self.steps(combination)?),
            Method::Calibrated => {
                let own = || self.library.calibration(&combination.id());
                let Some(path) = self.ask.calibration.clone().map_or_else(own, |given| Ok(Some(given)))? else {
                    return Err(PlanError::NoCalibration {
                        combination: combination.id(),
                        model: self.base.name.clone(),
                    });
                };
                strategy(Strategy::Calibrated, vec![self.calibrated(combination, path)?])
            }
        }
    }

    /// A single task takes its adapter; a combination its calibration if one fits, else a pass for each task; where an
    /// adapter is missing only the prompt is left.
    fn automatic(&self, combination: &Combination) -> Result<Resolved, PlanError> {
        let missing = self.without_adapter(combination)?;
        if !missing.is_empty() {
            let (list, model) = (missing.join(", "), &self.base.name);
            let note = format!("no adapter for {list} with model {model}: the prompt alone has to do");
            return Ok((Strategy::Prompt, vec![self.bare(combination)?], vec![note]));
        }
        if let Some(path) = &self.ask.calibration {
            return Ok((Strategy::Calibrated, vec![self.calibrated(combination, path.clone())?], Vec::new()));
        }
        if combination.tasks().len() == 1 {
            let pass = self.merged(combination, merge::Method::Concat)?;
            return Ok((Strategy::Adapter, vec![pass], Vec::new()));
        }
        let mut notes = Vec::new();
        match self.library.calibration(&combination.id())? {
            None => notes.push(format!("no calibration for {}: one pass for each task", combination.id())),
            Some(path) => match self.calibrated(combination, path) {
                Ok(pass) => return Ok((Strategy::Calibrated, vec![pass], notes)),
                Err(error @ (PlanError::Fit { .. } | PlanError::Calibration(_))) => {
                    notes.push(format!("{error}: one pass for each task instead"));
                }
                Err(error) => return Err(error),
            },
        }
        Ok((Strategy::MultiStep, self.steps(combination)?, notes))
    }

    fn without_adapter(&self, combination: &Combination) -> Result<Vec<String>, PlanError> {
        let mut missing = Vec::new();
        for task in combination.tasks() {
            if self.library.adapter(&task.id)?.is_none() {
                missing.push(task.id.clone());
            }
        }
        Ok(missing)
    }

    fn pass(&self, combination: Option<&Combination>, recipe: Option<Recipe>) -> PassPlan {
        let general = self.config.max_tokens;
        let own = combination.map_or(general, |combination| combination.max_tokens(general));
        let repeat_penalty = self.ask.penalty(combination);
        PassPlan {
            combination: combination.cloned(),
            recipe,
            sampling: Sampling { repeat_penalty, ..self.ask.sampling.clone() },
            max_tokens: self.ask.max_tokens.unwrap_or(own),
        }
    }

    fn bare(&self, combination: &Combination) -> Result<PassPlan, PlanError> {
        self.refuse_weights("it uses no adapters")?;
        Ok(self.pass(Some(combination), None))
    }

    fn steps(&self, combination: &Combination) -> Result<Vec<PassPlan>, PlanError> {
        self.refuse_weights("each pass uses one adapter")?;
        let step = |step: &Combination| {
            let recipe = Recipe {
                ingredients: self.ingredients(step, &[1.0])?,
                method: merge::Method::Concat,
                calibration: None,
            };
            Ok(self.pass(Some(step), Some(recipe)))
        };
        combination.steps().iter().map(step).collect()
    }

    fn merged(&self, combination: &Combination, method: merge::Method) -> Result<PassPlan, PlanError> {
        let weights = self.weights(combination.tasks().len())?;
        let recipe = Recipe { ingredients: self.ingredients(combination, &weights)?, method, calibration: None };
        Ok(self.pass(Some(combination), Some(recipe)))
    }

    fn calibrated(&self, combination: &Combination, path: PathBuf) -> Result<PassPlan, PlanError> {
        self.refuse_weights("the calibration was learned with its own")?;
        let calibration: Calibration = calibration::read(&path)?;
        let mut ingredients = self.ingredients(combination, &[])?;
        let adapters: Vec<(String, Digest)> = ingredients.iter().map(|part| (part.name.clone(), part.sha256)).collect();
        calibration
            .check(&combination.id(), self.base.sha256, &adapters)
            .map_err(|source| PlanError::Fit { path: path.clone(), source })?;
        for (part, weight) in ingredients.iter_mut().zip(&calibration.fit.weights) {
            part.weight = *weight;
        }
        let sha256 = digest(&self.digests, &path)?;
        let calibration_file = Some(CalibrationFile { path, sha256 });
        let recipe = Recipe { ingredients, method: calibration.fit.method, calibration: calibration_file };
        Ok(self.pass(Some(combination), Some(recipe)))
    }

    fn by_loras(&self, combination: Option<&Combination>) -> Result<Resolved, PlanError> {
        let method = match self.ask.method {
            Method::Auto | Method::Concat => merge::Method::Concat,
            Method::Linear => merge::Method::Linear,
            other => return Err(PlanError::LoraMethod(other)),
        };
        self.refuse_weights("each `--lora` has its own, as in `--lora FILE:0.5`")?;
        let mut ingredients = Vec::new();
        for (path, scale) in &self.ask.loras {
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            ingredients.push(self.ingredient(&name, path, *scale)?);
        }
        let strategy = if ingredients.len() == 1 { Strategy::Adapter } else { method.into() };
        let recipe = Recipe { ingredients, method, calibration: None };
        Ok((strategy, vec![self.pass(combination, Some(recipe))], Vec::new()))
    }

    fn refuse_weights(&self, why: &'static str) -> Result<(), PlanError> {
        match self.ask.weights.is_empty() {
            true => Ok(()),
            false => Err(PlanError::WeightsUnused(self.ask.method, why)),
        }
    }

    /// The weights as asked for, or equal ones that sum to one.
    fn weights(&self, adapters: usize) -> Result<Vec<f32>, PlanError> {
        match self.ask.weights.len() {
            #[expect(clippy::cast_precision_loss, reason = "a handful of adapters")]
            0 => Ok(vec![1.0 / adapters as f32; adapters]),
            weights if weights == adapters => Ok(self.ask.weights.clone()),
            weights => Err(PlanError::Weights { weights, adapters }),
        }
    }

    /// The adapters of a combination's tasks; where `weights` are missing, one.
    fn ingredients(&self, combination: &Combination, weights: &[f32]) -> Result<Vec<Ingredient>, PlanError> {
        let weights = weights.iter().copied().chain(std::iter::repeat(1.0));
        let mut ingredients = Vec::new();
        for (task, weight) in combination.tasks().iter().zip(weights) {
            let Some(path) = self.library.adapter(&task.id)? else {
                return Err(PlanError::NoAdapter {
                    method: self.ask.method,
                    task: task.id.clone(),
                    model: self.base.name.clone(),
                });
            };
            ingredients.push(self.ingredient(&task.id, &path, weight)?);
        }
        Ok(ingredients)
    }

    fn ingredient(&self, name: &str, path: &Path, weight: f32) -> Result<Ingredient, PlanError> {
        let read = |source| PlanError::Read { path: path.to_path_buf(), source };
        compose::ingredient(&self.digests, name, path, weight).map_err(read)
    }
}
