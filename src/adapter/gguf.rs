//! Adapters as GGUF files, the form that llama.cpp loads.
//!
//! `general.type = "adapter"`, `general.architecture` as the base model's, `adapter.type = "lora"`,
//! `adapter.lora.alpha`; each pair as tensors `<target>.lora_a`, GGUF shape `[d_in, r]`, and `<target>.lora_b`, `[r, d_out]`.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use crate::file;
use crate::gguf::{self, Data, File, MAX_TENSOR_NAME, TensorInfo, TensorType, Value, Writer};

use super::{Adapter, Card, Matrix, Pair};

/// Why a file is not an adapter that can be used. Each message names the file and, where there is one, the tensor.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum ReadError {
    #[error(transparent)]
    Gguf(#[from] gguf::ReadError),
    #[error("`{path}` {problem}", path = path.display())]
    Adapter { path: PathBuf, problem: Problem },
}

/// What is wrong with a file that is good GGUF but no good adapter; worded to follow the file's name.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    #[error("is not an adapter: `{key}` is {found}, not `{expected}`")]
    Kind { key: &'static str, expected: &'static str, found: String },
    #[error("names no architecture in `general.architecture`")]
    NoArchitecture,
    #[error("gives alpha as {0}, which is not a finite number of zero or more")]
    Alpha(f32),
    #[error("gives `adapter.lora.alpha` as something that is not a 32-bit float")]
    AlphaType,
    #[error("is an activated LoRA (`adapter.alora.invocation_tokens`), which cannot be merged")]
    Activated,
    #[error("holds no pair of tensors")]
    Empty,
    #[error("has tensor `{0}`, which ends in neither `.lora_a` nor `.lora_b`")]
    Name(String),
    #[error("has tensor `{0}` without its other half")]
    Half(String),
    #[error("changes `{0}`; only linear weights can be changed")]
    Target(String),
    #[error("has tensor `{name}` of shape {shape:?}; two dimensions were expected")]
    Dimensions { name: String, shape: Vec<u64> },
    #[error("has tensor `{name}` of rank {a} in its first half and {b} in its second")]
    Rank { name: String, a: u64, b: u64 },
    #[error("stores tensor `{name}` as {found}; F32, F16, BF16 and Q8_0 can be read")]
    Stored { name: String, found: TensorType },
    #[error("has a number in tensor `{0}` that is not finite")]
    NotFinite(String),
}

/// Reads and checks an adapter.
pub fn read(path: &Path) -> Result<Adapter, ReadError> {
    let mut file = File::open(path)?;
    let frame = check_frame(&file).map_err(|problem| wrong(path, problem))?;
    let mut pairs = BTreeMap::new();
    for (target, (a, b)) in frame.pairs {
        let pair = Pair { a: read_matrix(&mut file, &a)?, b: read_matrix(&mut file, &b)? };
        pairs.insert(target, pair);
    }
    Ok(Adapter { architecture: frame.architecture, alpha: frame.alpha, pairs, card: Card::from_metadata(&file) })
}

/// Reads only the card and the ranks' bounds, without the tensors' data: quick enough for listings.
pub fn read_card(path: &Path) -> Result<(Card, (u64, u64)), ReadError> {
    let file = File::open(path)?;
    let frame = check_frame(&file).map_err(|problem| wrong(path, problem))?;
    let ranks = || frame.pairs.values().map(|(a, _)| a.shape[1]);
    let bounds = (ranks().min().unwrap_or(0), ranks().max().unwrap_or(0));
    Ok((Card::from_metadata(&file), bounds))
}

/// How an adapter's numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// 16 bits, but 32 for a tensor with a number beyond the range of 16: half the size, and as fast to run.
    #[default]
    F16,
    /// 32 bits. llama.cpp then keeps activations at 32 bits too.
    F32,
    /// Signed bytes with a scale for each 32 numbers of a row, [`Precision::F16`] where rows are no multiple of 32. llama.cpp
    /// then rounds activations to bytes too, as it does for a quantised model.
    Q8_0,
}

impl std::str::FromStr for Precision {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "f16" => Ok(Self::F16),
            "f32" => Ok(Self::F32),
            "q8_0" => Ok(Self::Q8_0),
            _ => Err("`f16`, `f32` or `q8_0` was expected".to_owned()),
        }
    }
}

/// Writes an adapter, whole or not at all.
pub fn write(path: &Path, adapter: &Adapter, precision: Precision) -> io::Result<()> {
    file::write_whole(path, |out| encode(adapter, precision)?.write(out))
}

pub(crate) fn encode(adapter: &Adapter, precision: Precision) -> io::Result<Writer<'_>> {
    let mut writer = Writer::new();
    writer.set("general.type", Value::String("adapter".to_owned()));
    writer.set("general.architecture", Value::String(adapter.architecture.clone()));
    writer.set("adapter.type", Value::String("lora".to_owned()));
    writer.set("adapter.lora.alpha", Value::F32(adapter.alpha));
    adapter.card.write_metadata(&mut writer);
    for (target, pair) in &adapter.pairs {
        for (suffix, matrix) in [("lora_a", &pair.a), ("lora_b", &pair.b)] {
            let name = format!("{target}.{suffix}");
            if name.len() > MAX_TENSOR_NAME {
                return Err(io::Error::other(format!("tensor name `{name}` is longer than ggml takes")));
            }
            let numbers = match precision {
                Precision::F16 => Data::in_half(matrix.data()),
                Precision::F32 => Data::F32(matrix.data()),
                Precision::Q8_0 => Data::in_bytes(matrix.data(), matrix.columns()),
            };
            writer.tensor(name, &[matrix.columns() as u64, matrix.rows() as u64], numbers);
        }
    }
    Ok(writer)
}

fn wrong(path: &Path, problem: Problem) -> ReadError {
    ReadError::Adapter { path: path.to_path_buf(), problem }
}

/// What the header tells, with every pair complete and of matching rank.
struct Frame {
    architecture: String,
    alpha: f32,
    pairs: BTreeMap<String, (TensorInfo, TensorInfo)>,
}

fn check_frame(file: &File) -> Result<Frame, Problem> {
    expect_text(file, "general.type", "adapter")?;
    expect_text(file, "adapter.type", "lora")?;
    let architecture = file.get("general.architecture").and_then(Value::as_str).ok_or(Problem::NoArchitecture)?;
    let alpha = match file.get("adapter.lora.alpha") {
        None => 0.0,
        Some(value) => value.as_f32().ok_or(Problem::AlphaType)?,
    };
    if !alpha.is_finite() || alpha < 0.0 {
        return Err(Problem::Alpha(alpha));
    }
    if file.get("adapter.alora.invocation_tokens").is_some() {
        return Err(Problem::Activated);
    }
    Ok(Frame { architecture: architecture.to_owned(), alpha, pairs: pair_up(file.tensors())? })
}

fn expect_text(file: &File, key: &'static str, expected: &'static str) -> Result<(), Problem> {
    match file.get(key).and_then(Value::as_str) {
        Some(found) if found == expected => Ok(()),
        Some(found) => Err(Problem::Kind { key, expected, found: format!("`{found}`") }),
        None => Err(Problem::Kind { key, expected, found: "missing".to_owned() }),
    }
}

fn pair_up(tensors: &[TensorInfo]) -> Result<BTreeMap<String, (TensorInfo, TensorInfo)>, Problem> {
    let mut first = BTreeMap::new();
    let mut second = BTreeMap::new();
    for tensor in tensors {
        check_tensor(tensor)?;
        if let Some(target) = tensor.name.strip_suffix(".lora_a") {
            first.insert(target.to_owned(), tensor.clone());
        } else if let Some(target) = tensor.name.strip_suffix(".lora_b") {
            second.insert(target.to_owned(), tensor.clone());
        } else {
            return Err(Problem::Name(tensor.name.clone()));
        }
    }
    let mut pairs = BTreeMap::new();
    for (target, a) in first {
        let b = second.remove(&target).ok_or_else(|| Problem::Half(a.name.clone()))?;
        if target.ends_with("token_embd.weight") || target.ends_with("_norm.weight") {
            return Err(Problem::Target(target));
        }
        if a.shape[1] != b.shape[0] {
            return Err(Problem::Rank { name: target, a: a.shape[1], b: b.shape[0] });
        }
        pairs.insert(target, (a, b));
    }
    match second.into_values().next() {
        Some(left) => Err(Problem::Half(left.name)),
        None if pairs.is_empty() => Err(Problem::Empty),
        None => Ok(pairs),
    }
}

fn check_tensor(tensor: &TensorInfo) -> Result<(), Problem> {
    if tensor.shape.len() != 2 {
        return Err(Problem::Dimensions { name: tensor.name.clone(), shape: tensor.shape.clone() });
    }
    if !tensor.tensor_type.is_readable() {
        return Err(Problem::Stored { name: tensor.name.clone(), found: tensor.tensor_type });
    }
    Ok(())
}

fn read_matrix(file: &mut File, tensor: &TensorInfo) -> Result<Matrix, ReadError> {
    let numbers = file.read_tensor(tensor)?;
    if !numbers.iter().all(|number| number.is_finite()) {
        return Err(wrong(file.path(), Problem::NotFinite(tensor.name.clone())));
    }
    let size = |dimension: usize| usize::try_from(tensor.shape[dimension]).unwrap_or(usize::MAX);
    Matrix::new(size(1), size(0), numbers).ok_or_else(|| {
        let problem = Problem::Dimensions { name: tensor.name.clone(), shape: tensor.shape.clone() };
        wrong(file.path(), problem)
    })
}
