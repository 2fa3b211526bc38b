//! The frozen base model, dequantised from the GGUF file that llama.cpp runs.
//!
//! Weights that share an input lie one above the other as one product: q, k, v, and gate, up. One large product is
//! quicker than three small ones, forward and backward.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use candle_core::quantized::{GgmlDType, QStorage, QTensor};
use candle_core::{Device, Tensor};

use crate::gguf::{self, File, TensorType, Value};

use super::ops::attention::Heads;
use super::ops::rope::{Pairing, Rope};
use super::pass::Matrices;

/// Why a base model cannot be trained on.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum BaseError {
    #[error(transparent)]
    Gguf(#[from] gguf::ReadError),
    #[error("model `{path}` is of architecture `{architecture}`; training knows llama and qwen2", path = path.display())]
    Architecture { path: PathBuf, architecture: String },
    #[error("model `{path}` {problem}", path = path.display())]
    Unfit { path: PathBuf, problem: String },
    #[error("reading model `{path}` failed: {source}", path = path.display())]
    Tensor { path: PathBuf, source: candle_core::Error },
}

/// The four products of a block, in the order in which they are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Product {
    /// q, k and v from the normalised input.
    Qkv,
    /// From the heads' outputs back to the embedding.
    Output,
    /// gate and up from the normalised middle.
    GateUp,
    /// Back to the embedding.
    Down,
}

impl Product {
    pub(super) const ALL: [Self; 4] = [Self::Qkv, Self::Output, Self::GateUp, Self::Down];

    /// The module types whose weights it joins, top to bottom.
    pub(super) fn modules(self) -> &'static [&'static str] {
        match self {
            Self::Qkv => &["attn_q", "attn_k", "attn_v"],
            Self::Output => &["attn_output"],
            Self::GateUp => &["ffn_gate", "ffn_up"],
            Self::Down => &["ffn_down"],
        }
    }
}

/// One product's weight.
#[derive(Debug, Clone)]
pub(super) struct Weight {
    /// `d_out` × `d_in`, the modules' rows one above the other.
    pub(super) matrix: Tensor,
    /// Added to every output, where the model has one.
    pub(super) bias: Option<Tensor>,
    /// Which rows belong to which module.
    pub(super) rows: Vec<(&'static str, Range<usize>)>,
}

/// One block.
#[derive(Debug, Clone)]
pub(super) struct Layer {
    pub(super) attention_norm: Tensor,
    pub(super) feed_forward_norm: Tensor,
    pub(super) weights: [Weight; 4],
}

/// Sizes and constants.
#[derive(Debug, Clone)]
pub(super) struct Dimensions {
    pub(super) heads: Heads,
    pub(super) rope: Rope,
    pub(super) epsilon: f32,
}

/// A base model in memory, as 32-bit floats.
#[derive(Debug, Clone)]
pub struct Base {
    pub(super) dimensions: Dimensions,
    pub(super) embedding: Tensor,
    pub(super) output: Tensor,
    pub(super) output_norm: Tensor,
    pub(super) layers: Vec<Layer>,
    pub(super) device: Device,
    /// The architecture, as in `general.architecture`.
    pub architecture: String,
    /// The context length that it was trained with, in tokens.
    pub context_length: usize,
}

struct Reader<'a> {
    file: File,
    path: &'a Path,
    device: &'a Device,
}

impl Base {
    /// Reads a model. Types that candle can dequantise are taken: F32, F16, BF16, Q4_0 to Q8_0, Q2_K to Q6_K.
    pub fn read(path: &Path, device: &Device) -> Result<Self, BaseError> {
        let mut reader = Reader { file: File::open(path)?, path, device };
        let architecture = reader.text("general.architecture")?;
        let pairing = match architecture.as_str() {
            "llama" => Pairing::Neighbours,
            "qwen2" => Pairing::Halves,
            _ => return Err(BaseError::Architecture { path: path.to_path_buf(), architecture }),
        };
        let dimensions = reader.dimensions(&architecture, pairing)?;
        let blocks = reader.size(&format!("{architecture}.block_count"))?;
        let mut layers = Vec::new();
        for block in 0..blocks {
            layers.push(reader.layer(block)?);
        }
        let embedding = reader.tensor("token_embd.weight")?;
        // Without an output matrix of its own, the model uses its embedding again ("tied").
        let output = match reader.has("output.weight") {
            true => reader.tensor("output.weight")?,
            false => embedding.clone(),
        };
        let base = Self {
            dimensions,
            embedding,
            output,
            output_norm: reader.tensor("output_norm.weight")?,
            layers,
            device: device.clone(),
            context_length: reader.size(&format!("{architecture}.context_length"))?,
            architecture,
        };
        base.check().map_err(|problem| BaseError::Unfit { path: path.to_path_buf(), problem })?;
        Ok(base)
    }

    /// Inputs and outputs of each module of a block, by module type.
    pub(super) fn modules(&self) -> BTreeMap<&'static str, (usize, usize)> {
        let weights = self.layers.first().into_iter().flat_map(|layer| &layer.weights);
        let sizes = |weight: &Weight| {
            let inputs = weight.matrix.dims()[1];
            weight.rows.iter().map(|(module, rows)| (*module, (inputs, rows.len()))).collect::<Vec<_>>()
        };
        weights.flat_map(sizes).collect()
    }

    /// Copies of its products' matrices, to be fused into.
    pub(super) fn copy(&self) -> candle_core::Result<Matrices> {
        let layer = |layer: &Layer| {
            let [qkv, output, gate_up, down] = &layer.weights;
            Ok([qkv.matrix.copy()?, output.matrix.copy()?, gate_up.matrix.copy()?, down.matrix.copy()?])
        };
        self.layers.iter().map(layer).collect()
    }

    /// What forward keeps for backward, and what one block needs beside it, for so many tokens.
    pub(super) fn activation_bytes(&self, tokens: usize) -> usize {
        let width = self.embedding.dims().last().copied().unwrap_or(0);
        let outputs = |layer: &Layer| layer.weights.iter().map(|weight| weight.matrix.dims()[0]).sum::<usize>();
        let block = self.layers.first().map_or(0, outputs) + width;
        tokens * block * size_of::<f32>() * (self.layers.len() + 4)
    }

    /// How many blocks it has.
    #[must_use]
    pub fn layers(&self) -> usize {
        self.layers.len()
    }

    /// How many frozen numbers it has.
    #[must_use]
    pub fn parameters(&self) -> usize {
        let count = |tensor: &Tensor| tensor.elem_count();
        let layer = |layer: &Layer| layer.weights.iter().map(|weight| count(&weight.matrix)).sum::<usize>();
        count(&self.embedding) + self.layers.iter().map(layer).sum::<usize>()
    }

    fn check(&self) -> Result<(), String> {
        let heads = self.dimensions.heads;
        let width = self.embedding.dims()[1];
        if heads.keys == 0 || !heads.queries.is_multiple_of(heads.keys) {
            return Err(format!("has {} query heads for {} key heads", heads.queries, heads.keys));
        }
        for (number, layer) in self.layers.iter().enumerate() {
            let [qkv, output, gate_up, down] = &layer.weights;
            let middle = down.matrix.dims()[1];
            let expected = [
                (qkv, (heads.queries + 2 * heads.keys) * heads.size, width),
                (output, width, heads.queries * heads.size),
                (gate_up, 2 * middle, width),
                (down, width, middle),
            ];
            for (product, (weight, outputs, inputs)) in Product::ALL.iter().zip(expected) {
                if weight.matrix.dims() != [outputs, inputs] {
                    let (names, found) = (product.modules().join(", "), weight.matrix.dims());
                    return Err(format!(
                        "has {names} of shape {found:?} in block {number}; {outputs} × {inputs} was expected"
                    ));
                }
            }
        }
        Ok(())
    }
}

impl Reader<'_> {
    fn unfit(&self, problem: String) -> BaseError {
        BaseError::Unfit { path: self.path.to_path_buf(), problem }
    }

    fn text(&self, key: &str) -> Result<String, BaseError> {
        let text = self.file.get(key).and_then(Value::as_str);
        text.map(str::to_owned).ok_or_else(|| self.unfit(format!("has no `{key}`")))
    }

    fn size(&self, key: &str) -> Result<usize, BaseError> {
        let number = self.file.get(key).and_then(Value::as_u64).and_then(|number| usize::try_from(number).ok());
        number.filter(|number| *number > 0).ok_or_else(|| self.unfit(format!("has no `{key}`")))
    }

    fn dimensions(&mut self, architecture: &str, pairing: Pairing) -> Result<Dimensions, BaseError> {
        let key = |name: &str| format!("{architecture}.{name}");
        let queries = self.size(&key("attention.head_count"))?;
        let keys = self.size(&key("attention.head_count_kv")).unwrap_or(queries);
        let embedding = self.size(&key("embedding_length"))?;
        let size = self.size(&key("attention.key_length")).unwrap_or(embedding / queries);
        let turned = self.size(&key("rope.dimension_count")).unwrap_or(size);
        let scaling = key("rope.scaling.type");
        if let Some(kind) = self.file.get(&scaling).and_then(Value::as_str).filter(|kind| *kind != "none") {
            return Err(self.unfit(format!("scales its rotary embedding (`{kind}`), which training does not know")));
        }
        if turned == 0 || turned > size || turned % 2 == 1 {
            return Err(self.unfit(format!("turns {turned} of {size} numbers of a head")));
        }
        let number = |name: &str| self.file.get(&key(name)).and_then(Value::as_f32);
        let frequency_base = f64::from(number("rope.freq_base").unwrap_or(10_000.0));
        let Some(epsilon) = number("attention.layer_norm_rms_epsilon") else {
            return Err(self.unfit("has no `attention.layer_norm_rms_epsilon`".to_owned()));
        };
        let factors = match self.has("rope_freqs.weight") {
            true => self.tensor("rope_freqs.weight")?.to_vec1::<f32>().map_err(|source| self.failed(source))?,
            false => vec![1.0; turned / 2],
        };
        #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "angles are f32 in the end")]
        let frequency = |(pair, factor): (usize, f32)| {
            (frequency_base.powf(-2.0 * pair as f64 / turned as f64) / f64::from(factor)) as f32
        };
        let frequencies = factors.into_iter().enumerate().map(frequency).take(turned / 2).collect();
        Ok(Dimensions {
            heads: Heads { queries, keys, size },
            rope: Rope { pairing, head: size, turned, heads: queries + keys, frequencies },
            epsilon,
        })
    }

    fn layer(&mut self, block: usize) -> Result<Layer, BaseError> {
        let mut weights = Vec::new();
        for product in Product::ALL {
            weights.push(self.weight(block, product)?);
        }
        let weights = <[Weight; 4]>::try_from(weights).map_err(|_| self.unfit("has no four products".to_owned()))?;
        Ok(Layer {
            attention_norm: self.tensor(&format!("blk.{block}.attn_norm.weight"))?,
            feed_forward_norm: self.tensor(&format!("blk.{block}.ffn_norm.weight"))?,
            weights,
        })
    }

    fn weight(&mut self, block: usize, product: Product) -> Result<Weight, BaseError> {
        let (mut parts, mut biases, mut rows, mut at) = (Vec::new(), Vec::new(), Vec::new(), 0);
        for module in product.modules() {
            let part = self.tensor(&format!("blk.{block}.{module}.weight"))?;
            let (outputs, _) = part.dims2().map_err(|source| self.failed(source))?;
            rows.push((*module, at..at + outputs));
            at += outputs;
            let bias = format!("blk.{block}.{module}.bias");
            biases.push(match self.has(&bias) {
                true => Some(self.tensor(&bias)?),
                false => None,
            });
            parts.push((outputs, part));
        }
        let zeros = |outputs: usize| Tensor::zeros(outputs, candle_core::DType::F32, self.device);
        let bias = if biases.iter().any(Option::is_some) {
            let each = biases.into_iter().zip(&parts);
            let filled = each.map(|(bias, (outputs, _))| bias.map_or_else(|| zeros(*outputs), Ok));
            let filled: candle_core::Result<Vec<_>> = filled.collect();
            Some(filled.and_then(|parts| Tensor::cat(&parts, 0)).map_err(|source| self.failed(source))?)
        } else {
            None
        };
        let parts: Vec<Tensor> = parts.into_iter().map(|part| part.1).collect();
        let matrix = Tensor::cat(&parts, 0).map_err(|source| self.failed(source))?;
        Ok(Weight { matrix, bias, rows })
    }

    fn has(&self, name: &str) -> bool {
        self.file.tensors().iter().any(|tensor| tensor.name == name)
    }

    fn failed(&self, source: candle_core::Error) -> BaseError {
        BaseError::Tensor { path: self.path.to_path_buf(), source }
    }

    /// One tensor, its dimensions slowest first.
    fn tensor(&mut self, name: &str) -> Result<Tensor, BaseError> {
        let Some(info) = self.file.tensors().iter().find(|tensor| tensor.name == name).cloned() else {
            return Err(self.unfit(format!("has no tensor `{name}`")));
        };
        let shape: Vec<usize> = info.shape.iter().rev().map(|size| usize::try_from(*size).unwrap_or(0)).collect();
        let tensor = if info.tensor_type.is_readable() {
            Tensor::from_vec(self.file.read_tensor(&info)?, shape, self.device)
        } else {
            let Some(kind) = quantization(info.tensor_type) else {
                return Err(self.unfit(format!("stores `{name}` as {}, which training cannot read", info.tensor_type)));
            };
            let bytes = self.file.read_bytes(&info)?;
            QStorage::from_data(Cow::Owned(bytes), self.device, kind)
                .and_then(|storage| QTensor::new(storage, shape))
                .and_then(|tensor| tensor.dequantize(self.device))
        };
        tensor.map_err(|source| self.failed(source))
    }
}

/// The block types that candle dequantises; plain floats and Q8_0 are read without it.
fn quantization(kind: TensorType) -> Option<GgmlDType> {
    Some(match kind.0 {
        2 => GgmlDType::Q4_0,
        3 => GgmlDType::Q4_1,
        6 => GgmlDType::Q5_0,
        7 => GgmlDType::Q5_1,
        10 => GgmlDType::Q2K,
        11 => GgmlDType::Q3K,
        12 => GgmlDType::Q4K,
        13 => GgmlDType::Q5K,
        14 => GgmlDType::Q6K,
        _ => return None,
    })
}
