//! LoRA adapters: pairs of low-rank matrices that change a base model's weights.
//!
//! A pair changes its target weight W ∈ R^(d_out × d_in) to W + ΔW with ΔW = scaling · B · A, A ∈ R^(r × d_in),
//! B ∈ R^(d_out × r), scaling = alpha / r (Hu et al., 2021). Names of targets are those of GGUF, `blk.0.attn_q.weight`.

mod card;
mod check;
mod gguf;
mod names;
mod peft;

use std::collections::BTreeMap;

pub use card::Card;
pub use check::CheckError;
pub(crate) use gguf::encode;
pub use gguf::{Precision, ReadError, read, read_card, write};
pub use peft::{ImportError, import};

/// A matrix of `f32`, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    rows: usize,
    columns: usize,
    data: Vec<f32>,
}

impl Matrix {
    /// A matrix from its rows, one after another; `None` unless `data` holds `rows` × `columns` numbers.
    #[must_use]
    pub fn new(rows: usize, columns: usize, data: Vec<f32>) -> Option<Self> {
        (rows.checked_mul(columns)? == data.len()).then_some(Self { rows, columns, data })
    }

    /// A matrix of zeros.
    #[must_use]
    pub fn zeros(rows: usize, columns: usize) -> Self {
        Self::filled(rows, columns, 0.0)
    }

    /// A matrix of one number.
    #[must_use]
    pub fn filled(rows: usize, columns: usize, number: f32) -> Self {
        Self { rows, columns, data: vec![number; rows * columns] }
    }

    /// A matrix of one column.
    #[must_use]
    pub fn column(data: Vec<f32>) -> Self {
        Self { rows: data.len(), columns: 1, data }
    }

    /// How many rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// How many columns.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// All numbers, row after row.
    #[must_use]
    pub fn data(&self) -> &[f32] {
        &self.data
    }

    /// One row.
    #[must_use]
    pub fn row(&self, row: usize) -> &[f32] {
        &self.data[row * self.columns..][..self.columns]
    }

    /// Every number times `factor`.
    #[must_use]
    pub fn scaled(mut self, factor: f32) -> Self {
        self.data.iter_mut().for_each(|number| *number *= factor);
        self
    }

    /// Adds `factor` times another matrix of the same shape.
    pub fn add_scaled(&mut self, other: &Self, factor: f32) {
        debug_assert_eq!((self.rows, self.columns), (other.rows, other.columns));
        self.data.iter_mut().zip(&other.data).for_each(|(sum, number)| *sum += factor * number);
    }

    /// The rows of all parts, each times its factor, one part under the other; all have as many columns as the first.
    #[must_use]
    pub fn stack(parts: &[(&Self, f32)]) -> Self {
        let columns = parts.first().map_or(0, |part| part.0.columns);
        debug_assert!(parts.iter().all(|part| part.0.columns == columns));
        let rows = parts.iter().map(|part| part.0.rows).sum();
        let mut data = Vec::with_capacity(rows * columns);
        for (part, factor) in parts {
            data.extend(part.data.iter().map(|number| number * factor));
        }
        Self { rows, columns, data }
    }

    /// The columns of all parts, one part beside the other; all have as many rows as the first.
    #[must_use]
    pub fn beside(parts: &[&Self]) -> Self {
        let rows = parts.first().map_or(0, |part| part.rows);
        debug_assert!(parts.iter().all(|part| part.rows == rows));
        let columns = parts.iter().map(|part| part.columns).sum();
        let mut data = Vec::with_capacity(rows * columns);
        for row in 0..rows {
            for part in parts {
                data.extend_from_slice(part.row(row));
            }
        }
        Self { rows, columns, data }
    }

    /// The product `self` · `other`.
    #[must_use]
    pub fn product(&self, other: &Self) -> Self {
        debug_assert_eq!(self.columns, other.rows);
        let mut product = Self::zeros(self.rows, other.columns);
        for row in 0..self.rows {
            let out = &mut product.data[row * other.columns..][..other.columns];
            for (inner, factor) in self.row(row).iter().enumerate() {
                out.iter_mut().zip(other.row(inner)).for_each(|(sum, number)| *sum += factor * number);
            }
        }
        product
    }
}

/// The two factors of one delta weight.
#[derive(Debug, Clone, PartialEq)]
pub struct Pair {
    /// A, of shape rank × `d_in`.
    pub a: Matrix,
    /// B, of shape `d_out` × rank.
    pub b: Matrix,
}

impl Pair {
    /// The inner dimension.
    #[must_use]
    pub fn rank(&self) -> usize {
        self.a.rows()
    }
}

/// One adapter, whole in memory.
#[derive(Debug, Clone, PartialEq)]
pub struct Adapter {
    /// The base model's architecture, as in `general.architecture`.
    pub architecture: String,
    /// The numerator of the scaling. Zero stands for a scaling of one, as in llama.cpp.
    pub alpha: f32,
    /// The pairs by the name of the base tensor they change.
    pub pairs: BTreeMap<String, Pair>,
    /// What is known about where it comes from.
    pub card: Card,
}

impl Adapter {
    /// What B · A is multiplied with: alpha / rank, or one where alpha is zero (llama.cpp's rule).
    #[must_use]
    pub fn scaling(&self, pair: &Pair) -> f32 {
        scaling(self.alpha, pair.rank())
    }

    /// ΔW = scaling · B · A of one target, of shape `d_out` × `d_in`.
    #[must_use]
    pub fn delta_weight(&self, target: &str) -> Option<Matrix> {
        let pair = self.pairs.get(target)?;
        Some(pair.b.product(&pair.a).scaled(self.scaling(pair)))
    }

    /// The same delta weights with ranks filled up with zeros to a multiple of `step`, and a scaling of one.
    #[must_use]
    pub fn padded(mut self, step: usize) -> Self {
        for pair in self.pairs.values_mut() {
            let (rank, scaling) = (pair.rank(), scaling(self.alpha, pair.rank()));
            let more = rank.next_multiple_of(step) - rank;
            pair.a = Matrix::stack(&[(&pair.a, scaling), (&Matrix::zeros(more, pair.a.columns()), 1.0)]);
            pair.b = Matrix::beside(&[&pair.b, &Matrix::zeros(pair.b.rows(), more)]);
        }
        self.alpha = 0.0;
        self
    }

    /// The smallest and the largest rank of its pairs.
    #[must_use]
    pub fn ranks(&self) -> (usize, usize) {
        let ranks = || self.pairs.values().map(Pair::rank);
        (ranks().min().unwrap_or(0), ranks().max().unwrap_or(0))
    }

    /// How many numbers its pairs hold.
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.pairs.values().map(|pair| pair.a.data().len() + pair.b.data().len()).sum()
    }
}

/// alpha / rank, or one where alpha is zero.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "ranks are small")]
fn scaling(alpha: f32, rank: usize) -> f32 {
    if alpha == 0.0 { 1.0 } else { alpha / rank as f32 }
}

/// The kind of module a tensor belongs to: `attn_q` for `blk.12.attn_q.weight`. Calibrations are shared by kind.
#[must_use]
pub fn module_type(target: &str) -> Option<&str> {
    let (layer, rest) = target.strip_prefix("blk.")?.split_once('.')?;
    layer.parse::<u32>().ok()?;
    rest.strip_suffix(".weight")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beside_joins_rows_and_stack_appends_them() {
        let left = Matrix::new(2, 1, vec![1.0, 2.0]).unwrap();
        let right = Matrix::new(2, 2, vec![3.0, 4.0, 5.0, 6.0]).unwrap();
        assert_eq!(Matrix::beside(&[&left, &right]).data(), [1.0, 3.0, 4.0, 2.0, 5.0, 6.0]);
        assert_eq!(Matrix::stack(&[(&right, 1.0), (&right, 0.5)]).row(3), [2.5, 3.0]);
    }

    #[test]
    fn module_types_are_shared_by_layers() {
        assert_eq!(module_type("blk.12.attn_q.weight"), Some("attn_q"));
        assert_eq!(module_type("output.weight"), None);
        assert_eq!(module_type("blk.x.attn_q.weight"), None);
    }
}
