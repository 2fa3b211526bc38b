//! Calibrations as GGUF files.
//!
//! `general.type = "calibration"`, `general.architecture`, and under `nfold.calibration.`: `combinations` (comma-separated),
//! `method`, `weights` (comma-separated), `base.sha256`, `adapter.<task>.sha256`; a [`Card`] as adapters have. Tensors, F16 or F32: `p.<module>` of shape
//! `[d_out]`, or `p1.<module>` of shape `[d_in, rank]` and `p2.<module>` of shape `[rank, d_out]`, in GGUF order.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use crate::adapter::{Card, Matrix};
use crate::digest::Digest;
use crate::file;
use crate::gguf::{self, Data, File, TensorInfo, Value, Writer};

use super::{Calibration, Correction, Fit};

const PREFIX: &str = "nfold.calibration.";

/// Why a file is not a calibration that can be used.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum CalibrationError {
    #[error(transparent)]
    Gguf(#[from] gguf::ReadError),
    #[error("`{path}` is no calibration: {problem}", path = path.display())]
    Content { path: PathBuf, problem: String },
}

/// Reads and checks a calibration.
pub fn read(path: &Path) -> Result<Calibration, CalibrationError> {
    let mut file = File::open(path)?;
    let wrong = |problem: String| CalibrationError::Content { path: path.to_path_buf(), problem };
    let (architecture, fit) = read_fit(&file).map_err(wrong)?;
    let mut halves: BTreeMap<String, (Option<Matrix>, Option<Matrix>)> = BTreeMap::new();
    let mut corrections = BTreeMap::new();
    for tensor in file.tensors().to_vec() {
        let numbers = file.read_tensor(&tensor)?;
        if !numbers.iter().all(|number| number.is_finite()) {
            return Err(wrong(format!("tensor `{}` has a number that is not finite", tensor.name)));
        }
        match tensor.name.split_once('.') {
            Some(("p", module)) => drop(corrections.insert(module.to_owned(), Correction::Vector(numbers))),
            Some(("p1", module)) => {
                halves.entry(module.to_owned()).or_default().0 = Some(matrix(&tensor, numbers).map_err(wrong)?);
            }
            Some(("p2", module)) => {
                halves.entry(module.to_owned()).or_default().1 = Some(matrix(&tensor, numbers).map_err(wrong)?);
            }
            _ => {
                return Err(wrong(format!("it has tensor `{}`, which no variant has", tensor.name)));
            }
        }
    }
    for (module, pair) in halves {
        let (Some(p1), Some(p2)) = pair else {
            return Err(wrong(format!("`p1.{module}` and `p2.{module}` must come together")));
        };
        if p1.rows() != p2.columns() {
            return Err(wrong(format!("`p1.{module}` has rank {}, `p2.{module}` rank {}", p1.rows(), p2.columns())));
        }
        if corrections.insert(module.clone(), Correction::LowRank { p1, p2 }).is_some() {
            return Err(wrong(format!("`{module}` is corrected twice")));
        }
    }
    if corrections.is_empty() {
        return Err(wrong("it corrects nothing".to_owned()));
    }
    Ok(Calibration { architecture, fit, corrections })
}

/// Reads what a calibration's file tells about itself: data, licence, provenance, figures.
pub fn read_card(path: &Path) -> Result<Card, CalibrationError> {
    Ok(Card::from_metadata(&File::open(path)?))
}

/// Writes a calibration with its card, in 16 bits, whole or not at all.
pub fn write(path: &Path, calibration: &Calibration, card: &Card) -> io::Result<()> {
    let mut writer = Writer::new();
    let fit = &calibration.fit;
    writer.set("general.type", Value::String("calibration".to_owned()));
    writer.set("general.architecture", Value::String(calibration.architecture.clone()));
    let mut set = |key: &str, text: String| writer.set(format!("{PREFIX}{key}"), Value::String(text));
    set("combinations", fit.combinations.join(","));
    set("method", fit.method.to_string());
    set("weights", fit.weights.iter().map(f32::to_string).collect::<Vec<_>>().join(","));
    set("base.sha256", fit.base.to_string());
    for (task, digest) in &fit.adapters {
        set(&format!("adapter.{task}.sha256"), digest.to_string());
    }
    card.write_metadata(&mut writer);
    for (module, correction) in &calibration.corrections {
        match correction {
            Correction::Vector(p) => writer.tensor(format!("p.{module}"), &[p.len() as u64], Data::in_half(p)),
            Correction::LowRank { p1, p2 } => {
                for (name, matrix) in [("p1", p1), ("p2", p2)] {
                    let shape = [matrix.columns() as u64, matrix.rows() as u64];
                    writer.tensor(format!("{name}.{module}"), &shape, Data::in_half(matrix.data()));
                }
            }
        }
    }
    file::write_whole(path, |out| writer.write(out))
}

fn matrix(tensor: &TensorInfo, numbers: Vec<f32>) -> Result<Matrix, String> {
    let &[columns, rows] = &tensor.shape[..] else {
        return Err(format!("tensor `{}` has shape {:?}; two dimensions were expected", tensor.name, tensor.shape));
    };
    let size = |size: u64| usize::try_from(size).unwrap_or(usize::MAX);
    Matrix::new(size(rows), size(columns), numbers)
        .ok_or_else(|| format!("tensor `{}` does not fill its shape", tensor.name))
}

fn read_fit(file: &File) -> Result<(String, Fit), String> {
    let text = |key: &str| {
        file.get(key).and_then(Value::as_str).ok_or_else(|| format!("metadata `{key}` is missing or is no text"))
    };
    let kind = text("general.type")?;
    if kind != "calibration" {
        return Err(format!("its `general.type` is `{kind}`"));
    }
    let own = |key: &str| text(&format!("{PREFIX}{key}"));
    let digest = |text: &str| text.parse::<Digest>().map_err(|error| error.to_string());
    let weight = |text: &str| match text.parse::<f32>() {
        Ok(weight) if weight.is_finite() => Ok(weight),
        _ => Err(format!("`{text}` is no weight")),
    };
    let mut adapters = BTreeMap::new();
    for (key, value) in file.metadata() {
        let task = key.strip_prefix(PREFIX).and_then(|rest| rest.strip_prefix("adapter.")?.strip_suffix(".sha256"));
        if let (Some(task), Some(value)) = (task, value.as_str()) {
            adapters.insert(task.to_owned(), digest(value)?);
        }
    }
    let fit = Fit {
        combinations: own("combinations")?.split(',').map(str::to_owned).collect(),
        method: own("method")?.parse().map_err(|error: crate::merge::MergeError| error.to_string())?,
        weights: own("weights")?.split(',').map(weight).collect::<Result<_, _>>()?,
        base: digest(own("base.sha256")?)?,
        adapters,
    };
    Ok((text("general.architecture")?.to_owned(), fit))
}
