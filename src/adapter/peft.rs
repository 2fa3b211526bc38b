//! Importing PEFT folders: `adapter_config.json` and `adapter_model.safetensors`.
//!
//! PEFT scales a pair by alpha / r, or alpha / √r with rank-stabilised LoRA, where alpha and r may differ from module to
//! module. A GGUF adapter has one alpha for all: where one fits it is kept, elsewhere each pair's scaling goes into its B.
//! What cannot be expressed as plain pairs is refused.

mod config;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensorError, SafeTensors};

use crate::gguf::TensorType;
use crate::model::BaseModel;

use super::names::gguf_target;
use super::{Adapter, Card, Matrix, Pair};
use config::{Config, Modules};

const CONFIG: &str = "adapter_config.json";
const WEIGHTS: &str = "adapter_model.safetensors";

/// Why a PEFT folder cannot be imported.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum ImportError {
    #[error("cannot read `{path}`: {source}", path = path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("`{path}` is not a PEFT configuration: {source}", path = path.display())]
    Json { path: PathBuf, source: serde_json::Error },
    #[error("`{path}` is not a safetensors file: {source}", path = path.display())]
    Safetensors { path: PathBuf, source: SafeTensorError },
    #[error("the adapter in `{folder}` uses {feature}: {reason}", folder = folder.display())]
    Unsupported { folder: PathBuf, feature: String, reason: &'static str },
    #[error("`{path}`, tensor `{tensor}`: {problem}", path = path.display())]
    Tensor { path: PathBuf, tensor: String, problem: String },
    #[error("`{path}` holds no LoRA tensors", path = path.display())]
    Empty { path: PathBuf },
    #[error("`target_modules` names `{module}`, but `{path}` holds no tensors for it", path = path.display())]
    Missing { path: PathBuf, module: String },
    #[error(
        "cannot import for architecture `{0}`: the layout of its attention weights is known for `llama` and `qwen2` only"
    )]
    Architecture(String),
}

/// Reads a PEFT folder as an adapter for `model`.
///
/// For architecture `llama` the rows of B of `q_proj` and `k_proj` are permuted as `convert_hf_to_gguf.py` permutes the
/// base weights (interleaved rotary embedding); for `qwen2` nothing is.
pub fn import(folder: &Path, model: &BaseModel) -> Result<Adapter, ImportError> {
    let config = read_config(folder)?;
    config.refuse_unsupported(folder)?;
    if !["llama", "qwen2"].contains(&model.architecture.as_str()) {
        return Err(ImportError::Architecture(model.architecture.clone()));
    }
    let path = folder.join(WEIGHTS);
    let bytes = fs::read(&path).map_err(|source| ImportError::Io { path: path.clone(), source })?;
    let tensors =
        SafeTensors::deserialize(&bytes).map_err(|source| ImportError::Safetensors { path: path.clone(), source })?;
    let mut modules = BTreeMap::new();
    for (name, view) in tensors.tensors() {
        sort_in(&mut modules, &name, &view).map_err(|problem| wrong(&path, &name, problem))?;
    }
    let scaled = build_pairs(&config, model, &path, modules)?;
    let (alpha, pairs) = fold_scalings(scaled);
    let card = Card {
        base_name: config.base_model_name_or_path.clone(),
        provenance: Some("imported from PEFT".to_owned()),
        ..Card::default()
    };
    Ok(Adapter { architecture: model.architecture.clone(), alpha, pairs, card })
}

fn read_config(folder: &Path) -> Result<Config, ImportError> {
    let path = folder.join(CONFIG);
    let text = fs::read(&path).map_err(|source| ImportError::Io { path: path.clone(), source })?;
    serde_json::from_slice(&text).map_err(|source| ImportError::Json { path, source })
}

fn wrong(path: &Path, tensor: &str, problem: impl Into<String>) -> ImportError {
    ImportError::Tensor { path: path.to_path_buf(), tensor: tensor.to_owned(), problem: problem.into() }
}

/// The halves of a pair as they are found.
#[derive(Default)]
struct Halves {
    a: Option<Matrix>,
    b: Option<Matrix>,
}

/// Puts one tensor of the file into its module's halves.
fn sort_in(modules: &mut BTreeMap<String, Halves>, name: &str, view: &TensorView<'_>) -> Result<(), String> {
    let inner = name.strip_prefix("base_model.model.").unwrap_or(name);
    let (module, is_a) = match (inner.split_once(".lora_A."), inner.split_once(".lora_B.")) {
        (Some((module, _)), None) => (module, true),
        (None, Some((module, _))) => (module, false),
        _ => return Err("it is no half of a LoRA pair of a linear module, and nothing else can be imported".to_owned()),
    };
    let matrix = read_matrix(view)?;
    let halves = modules.entry(module.to_owned()).or_default();
    let half = if is_a { &mut halves.a } else { &mut halves.b };
    match half.replace(matrix) {
        None => Ok(()),
        Some(_) => Err("it stands for a half that another tensor already gave".to_owned()),
    }
}

fn read_matrix(view: &TensorView<'_>) -> Result<Matrix, String> {
    let stored = match view.dtype() {
        Dtype::F32 => TensorType::F32,
        Dtype::F16 => TensorType::F16,
        Dtype::BF16 => TensorType::BF16,
        other => {
            return Err(format!("it is stored as {other:?}; F32, F16 and BF16 can be read"));
        }
    };
    let &[rows, columns] = view.shape() else {
        return Err(format!("its shape is {:?}; two dimensions were expected", view.shape()));
    };
    let numbers = stored.decode(view.data());
    if !numbers.iter().all(|number| number.is_finite()) {
        return Err("it has a number that is not finite".to_owned());
    }
    Matrix::new(rows, columns, numbers).ok_or_else(|| "its data does not fill its shape".to_owned())
}

/// Completes the pairs under GGUF names, each with its scaling.
fn build_pairs(
    config: &Config,
    model: &BaseModel,
    path: &Path,
    modules: BTreeMap<String, Halves>,
) -> Result<BTreeMap<String, (Pair, f32)>, ImportError> {
    let patterns = config.patterns().map_err(|problem| wrong(path, CONFIG, problem))?;
    let mut seen = BTreeSet::new();
    let mut pairs = BTreeMap::new();
    for (module, halves) in modules {
        let fail = |problem: String| wrong(path, &module, problem);
        seen.extend(patterns.target(&module).map_err(&fail)?);
        let (Some(a), Some(mut b)) = (halves.a, halves.b) else {
            return Err(fail("the pair is missing its other half".to_owned()));
        };
        if a.rows() != b.columns() || a.rows() != patterns.rank(&module) {
            let (a, b, told) = (a.rows(), b.columns(), patterns.rank(&module));
            return Err(fail(format!("A has rank {a}, B has rank {b}, and {CONFIG} says {told}")));
        }
        let target = gguf_target(&module).ok_or_else(|| fail("no GGUF tensor is known for this module".to_owned()))?;
        if let Some(heads) = rotary_heads(model, &target) {
            b = permute_rows(&b, heads)
                .ok_or_else(|| fail(format!("{} rows do not divide into {heads} heads", b.rows())))?;
        }
        pairs.insert(target, (Pair { a, b }, patterns.scaling(&module)));
    }
    if pairs.is_empty() {
        return Err(ImportError::Empty { path: path.to_path_buf() });
    }
    if let Modules::List(names) = &config.target_modules
        && let Some(module) = names.iter().find(|name| !seen.contains(*name))
    {
        return Err(ImportError::Missing { path: path.to_path_buf(), module: module.clone() });
    }
    Ok(pairs)
}

/// How many heads the rows of this target are permuted by, `None` where they are not.
fn rotary_heads(model: &BaseModel, target: &str) -> Option<usize> {
    if model.architecture != "llama" {
        return None;
    }
    match super::module_type(target) {
        Some("attn_q") => Some(model.heads),
        Some("attn_k") => Some(model.kv_heads),
        _ => None,
    }
}

/// Reorders each head's rows from two halves to interleaved pairs: row `j·d/2 + i` of a head becomes row `2·i + j`.
fn permute_rows(b: &Matrix, heads: usize) -> Option<Matrix> {
    if heads == 0 || !b.rows().is_multiple_of(2 * heads) {
        return None;
    }
    let per_head = b.rows() / heads;
    let mut data = Vec::with_capacity(b.data().len());
    for row in 0..b.rows() {
        let (head, place) = (row / per_head, row % per_head);
        let from = head * per_head + (place % 2) * (per_head / 2) + place / 2;
        data.extend_from_slice(b.row(from));
    }
    Matrix::new(b.rows(), b.columns(), data)
}

/// One alpha for all pairs where there is one; otherwise alpha zero (scaling one) and each scaling folded into its B.
fn fold_scalings(scaled: BTreeMap<String, (Pair, f32)>) -> (f32, BTreeMap<String, Pair>) {
    #[expect(clippy::cast_precision_loss, reason = "ranks are small")]
    let alpha_of = |(pair, scaling): &(Pair, f32)| *scaling * pair.rank() as f32;
    let alpha = scaled.values().next().map_or(0.0, alpha_of);
    if alpha > 0.0 && scaled.values().all(|entry| (alpha_of(entry) - alpha).abs() <= 1e-6 * alpha) {
        return (alpha, scaled.into_iter().map(|(target, (pair, _))| (target, pair)).collect());
    }
    let fold = |(target, (pair, scaling)): (String, (Pair, f32))| (target, Pair { b: pair.b.scaled(scaling), ..pair });
    (0.0, scaled.into_iter().map(fold).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_interleaved_within_each_head() {
        let rows = Matrix::new(8, 1, (0u8..8).map(f32::from).collect()).unwrap();
        let permuted = permute_rows(&rows, 2).unwrap();
        assert_eq!(permuted.data(), [0.0, 2.0, 1.0, 3.0, 4.0, 6.0, 5.0, 7.0]);
        assert_eq!(permute_rows(&rows, 3), None);
    }
}
