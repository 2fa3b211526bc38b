//! What is learned: pairs of low-rank factors, beside frozen weights.
//!
//! An adapter has a pair of its own for every weight; Learnable Calibration++ one pair (P1, P2) for each module type, used
//! in all layers; Learnable Calibration a pair whose first factor is a frozen row of ones. One mechanism: a *use* of two
//! factors at each weight, ΔW = scaling · B · A. For a pass the deltas are fused into the weights, so that what is learned
//! costs no extra products forward; its gradients come from each product's input x and output gradient g as
//! ∂B = scaling · gᵀ (x Aᵀ), ∂A = scaling · (g B)ᵀ x.

use std::collections::BTreeMap;

use candle_core::{CpuStorage, Device, InplaceOp2, Layout, Result, Tensor};
use ndarray::linalg::general_mat_mul;
use ndarray::{ArrayView2, ArrayViewMut2};
use rayon::prelude::*;

use crate::adapter::{Adapter, Matrix};

use super::base::{Base, Weight};
use super::ops::slices;
use super::pass::{Matrices, Place};

/// A matrix among the numbers that are learned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Factor {
    pub(super) rows: usize,
    pub(super) columns: usize,
    /// Where it starts among all numbers.
    at: usize,
}

/// The first factor of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum First {
    /// A learned one, by its place in the list.
    Learned(usize),
    /// One row of ones: p · 1ᵀ adds p to every column.
    Ones,
}

/// Two factors at one weight.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Use {
    first: First,
    second: usize,
    scaling: f32,
}

/// What kind of thing is learned.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Shape {
    /// An adapter with a pair of this rank for every weight of every layer, ΔW = alpha / rank · B · A.
    Adapter {
        /// The inner dimension.
        rank: usize,
        /// The numerator of the scaling.
        alpha: f32,
    },
    /// Learnable Calibration: p for each module type.
    Vector,
    /// Learnable Calibration++: P1 and P2 of this rank for each module type; the paper's is 4.
    LowRank {
        /// The inner dimension.
        rank: usize,
    },
}

/// Everything that is learned, as one row of numbers.
#[derive(Debug, Clone)]
pub(super) struct Learned {
    /// The numbers, factor after factor, each row-major.
    pub(super) numbers: Vec<f32>,
    /// The factors by name: `blk.0.attn_q.a`, or `attn_q.a`.
    pub(super) factors: Vec<(String, Factor)>,
    uses: BTreeMap<(usize, &'static str), Use>,
}

impl Learned {
    /// Starts at a delta of zero: second factors are zero, first ones uniform in ±1/√d_in, as LoRA's are.
    pub(super) fn new(shape: Shape, base: &Base, random: &mut fastrand::Rng) -> Self {
        let mut learned = Self { numbers: Vec::new(), factors: Vec::new(), uses: BTreeMap::new() };
        let modules = base.modules();
        match shape {
            Shape::Adapter { rank, alpha } => {
                #[expect(clippy::cast_precision_loss, reason = "ranks are small")]
                let scaling = alpha / rank as f32;
                for layer in 0..base.layers() {
                    for (module, size) in &modules {
                        let one = learned.pair(&format!("blk.{layer}.{module}"), *size, Some(rank), random);
                        learned.uses.insert((layer, module), Use { scaling, ..one });
                    }
                }
            }
            Shape::Vector | Shape::LowRank { .. } => {
                let rank = if let Shape::LowRank { rank } = shape { Some(rank) } else { None };
                for (module, size) in &modules {
                    let one = learned.pair(module, *size, rank, random);
                    learned.uses.extend((0..base.layers()).map(|layer| ((layer, *module), one)));
                }
            }
        }
        learned
    }

    /// Adds a pair; without a rank, one whose first factor is a row of ones.
    fn pair(
        &mut self,
        name: &str,
        (inputs, outputs): (usize, usize),
        rank: Option<usize>,
        random: &mut fastrand::Rng,
    ) -> Use {
        #[expect(clippy::cast_precision_loss, reason = "widths are small")]
        let bound = 1.0 / (inputs as f32).sqrt();
        let first = match rank {
            None => First::Ones,
            Some(rank) => {
                First::Learned(self.factor(format!("{name}.a"), rank, inputs, || (random.f32() * 2.0 - 1.0) * bound))
            }
        };
        let second = self.factor(format!("{name}.b"), outputs, rank.unwrap_or(1), || 0.0);
        Use { first, second, scaling: 1.0 }
    }

    fn factor(&mut self, name: String, rows: usize, columns: usize, number: impl FnMut() -> f32) -> usize {
        let at = self.numbers.len();
        self.numbers.extend(std::iter::repeat_with(number).take(rows * columns));
        self.factors.push((name, Factor { rows, columns, at }));
        self.factors.len() - 1
    }

    /// The numbers of a factor.
    pub(super) fn get<'a>(&'a self, name: &str) -> Option<(&'a Factor, &'a [f32])> {
        let factor = self.factors.iter().find(|factor| factor.0 == name).map(|factor| &factor.1)?;
        Some((factor, self.slice(factor)))
    }

    /// Overwrites a factor's first rows or columns; `false` where there is none of that name, or it is smaller.
    ///
    /// Of a pair of a smaller rank the rest stays as it began, random rows of A and columns of zeros in B, which is no change.
    pub(super) fn set(&mut self, name: &str, numbers: &Matrix) -> bool {
        let Some(at) = self.factors.iter().position(|factor| factor.0 == name) else {
            return false;
        };
        let Factor { rows, columns, at } = self.factors[at].1;
        let same = (numbers.rows() == rows, numbers.columns() == columns);
        let fits = (same.0 && numbers.columns() <= columns) || (same.1 && numbers.rows() <= rows);
        if fits {
            for row in 0..numbers.rows() {
                self.numbers[at + row * columns..][..numbers.columns()].copy_from_slice(numbers.row(row));
            }
        }
        fits
    }

    /// A row as long as the numbers, divided by factors.
    pub(super) fn by_name(&self, row: &[f32]) -> BTreeMap<String, Vec<f32>> {
        let part = |factor: &Factor| row[factor.at..factor.at + factor.rows * factor.columns].to_vec();
        self.factors.iter().map(|(name, factor)| (name.clone(), part(factor))).collect()
    }

    fn slice(&self, factor: &Factor) -> &[f32] {
        &self.numbers[factor.at..factor.at + factor.rows * factor.columns]
    }

    fn matrix(&self, factor: usize) -> (Factor, &[f32]) {
        let factor = &self.factors[factor].1;
        (factor.clone(), self.slice(factor))
    }

    /// Fuses all deltas into copies of the base's matrices: those of a frozen merged adapter, and what is learned. On the CPU
    /// the matrices of the step before are written over, so that no step takes new memory for them.
    pub(super) fn fuse(&self, base: &Base, merged: Option<&Adapter>, before: Option<Matrices>) -> Result<Matrices> {
        let matrices = match before {
            Some(matrices) => matrices,
            None => base.copy()?,
        };
        let layers = base.layers.par_iter().zip(matrices).enumerate();
        let fused = layers.map(|(layer, (block, matrices))| {
            let one = |product: usize| {
                let weight = &block.weights[product];
                fuse_one(&matrices[product], &Fuse { learned: self, layer, weight, merged })
            };
            Ok([one(0)?, one(1)?, one(2)?, one(3)?])
        });
        fused.collect()
    }

    /// Adds the gradients of the factors used at one place to `gradients`, which is as long as the numbers.
    pub(super) fn accumulate(&self, place: &Place<'_>, gradients: &mut [f32]) -> Result<()> {
        let device = place.input.device();
        for (module, rows) in &place.weight.rows {
            let Some(used) = self.uses.get(&(place.layer, *module)) else { continue };
            let gradient = place.gradient.narrow(1, rows.start, rows.len())?;
            let scaling = f64::from(used.scaling);
            let (second, b) = self.matrix(used.second);
            let projected = match used.first {
                First::Ones => place.input.sum_keepdim(1)?,
                First::Learned(first) => {
                    let (factor, a) = self.matrix(first);
                    let a = Tensor::from_slice(a, (factor.rows, factor.columns), device)?;
                    let b = Tensor::from_slice(b, (second.rows, second.columns), device)?;
                    let flow = gradient.matmul(&b)?.t()?.matmul(place.input)?;
                    add(&mut gradients[factor.at..], &flow, scaling)?;
                    place.input.matmul(&a.t()?)?
                }
            };
            // (rank × rows) · (rows × d_out), turned: the wide side of g is read along its rows.
            let flow = projected.t()?.matmul(&gradient)?.t()?.contiguous()?;
            add(&mut gradients[second.at..], &flow, scaling)?;
        }
        Ok(())
    }
}

fn fuse_one(matrix: &Tensor, fuse: &Fuse<'_>) -> Result<Tensor> {
    let (frozen, device) = (&fuse.weight.matrix, matrix.device());
    if device.is_cpu() {
        matrix.inplace_op2(frozen, fuse)?;
        return Ok(matrix.clone());
    }
    let frozen = frozen.to_device(&Device::Cpu)?;
    let sum = frozen.copy()?;
    sum.inplace_op2(&frozen, fuse)?;
    sum.to_device(device)
}

/// Overwrites a matrix with a frozen one and the deltas at its place.
struct Fuse<'a> {
    learned: &'a Learned,
    layer: usize,
    weight: &'a Weight,
    merged: Option<&'a Adapter>,
}

impl InplaceOp2 for Fuse<'_> {
    fn name(&self) -> &'static str {
        "fuse"
    }

    fn cpu_fwd(&self, sum: &mut CpuStorage, at: &Layout, frozen: &CpuStorage, frozen_at: &Layout) -> Result<()> {
        let whole = (at.contiguous_offsets(), frozen_at.contiguous_offsets());
        let (CpuStorage::F32(sum), CpuStorage::F32(frozen), (Some(at), Some(frozen_at))) = (sum, frozen, whole) else {
            candle_core::bail!("contiguous F32 weights were expected");
        };
        let sum = &mut sum[at.0..at.1];
        sum.copy_from_slice(&frozen[frozen_at.0..frozen_at.1]);
        self.add(sum)
    }
}

impl Fuse<'_> {
    fn add(&self, sum: &mut [f32]) -> Result<()> {
        let inputs = self.weight.matrix.dim(1)?;
        let ones = vec![1.0; inputs];
        for (module, rows) in &self.weight.rows {
            let part = &mut sum[rows.start * inputs..rows.end * inputs];
            if let Some(adapter) = self.merged
                && let Some(pair) = adapter.pairs.get(&format!("blk.{}.{module}.weight", self.layer))
            {
                add_product(part, adapter.scaling(pair), pair.b.data(), pair.a.data(), pair.rank())?;
            }
            if let Some(used) = self.learned.uses.get(&(self.layer, *module)) {
                let a = match used.first {
                    First::Learned(first) => self.learned.matrix(first).1,
                    First::Ones => &ones,
                };
                let (second, b) = self.learned.matrix(used.second);
                add_product(part, used.scaling, b, a, second.columns)?;
            }
        }
        Ok(())
    }
}

/// sum += scaling · B · A, where B has `rank` columns and A `rank` rows.
fn add_product(sum: &mut [f32], scaling: f32, b: &[f32], a: &[f32], rank: usize) -> Result<()> {
    let wrong = |error: ndarray::ShapeError| candle_core::Error::Msg(error.to_string());
    let (outputs, inputs) = (b.len() / rank, a.len() / rank);
    let a = ArrayView2::from_shape((rank, inputs), a).map_err(wrong)?;
    let b = ArrayView2::from_shape((outputs, rank), b).map_err(wrong)?;
    let mut sum = ArrayViewMut2::from_shape((outputs, inputs), sum).map_err(wrong)?;
    general_mat_mul(scaling, &b, &a, 1.0, &mut sum);
    Ok(())
}

fn add(sums: &mut [f32], flow: &Tensor, scaling: f64) -> Result<()> {
    #[expect(clippy::cast_possible_truncation, reason = "it was an f32")]
    let scaling = scaling as f32;
    let flow = flow.to_device(&Device::Cpu)?;
    slices([&flow], |[flow]| sums.iter_mut().zip(flow).for_each(|(sum, number)| *sum += scaling * number))
}
