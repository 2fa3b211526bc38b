//! Causal self-attention with grouped key and value heads, over several sequences that lie one behind the other.
//!
//! softmax(Q Kᵀ / √d) V for each head, each row seeing itself and what is before it in its sequence. Nothing of the size
//! of a whole score matrix is kept: backward computes a block of scores again from the logarithm of each row's sum.

use std::ops::Range;

use candle_core::{D, Device, Result, Tensor};
use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, ArrayBase, ArrayView2, ArrayViewMut2, Axis, Ix2, RawData, Slice};
use rayon::prelude::*;

use super::{differentiate, exp, slices};

/// Query rows whose scores are computed at a time.
const BLOCK: usize = 32;

/// How a row of q, k and v side by side is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::train) struct Heads {
    /// Heads of queries.
    pub(in crate::train) queries: usize,
    /// Heads of keys, and as many of values.
    pub(in crate::train) keys: usize,
    /// Numbers of a head.
    pub(in crate::train) size: usize,
}

impl Heads {
    fn width(self) -> usize {
        (self.queries + 2 * self.keys) * self.size
    }

    /// Query heads that share a key head.
    fn group(self) -> usize {
        self.queries / self.keys
    }

    #[expect(clippy::cast_precision_loss, reason = "heads are small")]
    fn scale(self) -> f32 {
        1.0 / (self.size as f32).sqrt()
    }
}

/// What backward needs of forward.
#[derive(Debug)]
pub(in crate::train) struct Attended {
    /// The result, rows × (query heads · size).
    pub(in crate::train) output: Tensor,
    /// The logarithm of each row's and head's sum of exponentials; empty on other devices than the CPU.
    sums: Array2<f32>,
}

/// By plain algebra, one sequence after another.
pub(in crate::train) fn definition(qkv: &Tensor, lengths: &[usize], heads: Heads) -> Result<Tensor> {
    let (mut start, mut outputs) = (0, Vec::new());
    for &length in lengths {
        let rows = qkv.narrow(0, start, length)?;
        start += length;
        let part = |from: usize, count: usize| {
            let columns = rows.narrow(1, from * heads.size, count * heads.size)?;
            columns.reshape((length, count, heads.size))?.transpose(0, 1)?.contiguous()
        };
        let spread = |shared: Tensor| {
            let all = (heads.keys, heads.group(), length, heads.size);
            shared.unsqueeze(1)?.broadcast_as(all)?.reshape((heads.queries, length, heads.size))
        };
        let q = part(0, heads.queries)?;
        let k = spread(part(heads.queries, heads.keys)?)?;
        let v = spread(part(heads.queries + heads.keys, heads.keys)?)?;
        let scores = (q.matmul(&k.transpose(1, 2)?.contiguous()?)? * f64::from(heads.scale()))?;
        let mask: Vec<f32> =
            (0..length * length).map(|at| if at % length > at / length { f32::NEG_INFINITY } else { 0.0 }).collect();
        let scores = scores.broadcast_add(&Tensor::from_vec(mask, (length, length), qkv.device())?)?;
        let powers = scores.broadcast_sub(&scores.max_keepdim(D::Minus1)?.detach())?.exp()?;
        let shares = powers.broadcast_div(&powers.sum_keepdim(D::Minus1)?)?;
        let mixed = shares.matmul(&v)?.transpose(0, 1)?.contiguous()?;
        outputs.push(mixed.reshape((length, heads.queries * heads.size))?);
    }
    Tensor::cat(&outputs, 0)
}

/// Attends from `qkv`, rows × (queries + 2 keys) · size, whose heads are turned; `lengths` of the sequences sum to its rows.
pub(in crate::train) fn forward(qkv: &Tensor, lengths: &[usize], heads: Heads) -> Result<Attended> {
    if !qkv.device().is_cpu() {
        return Ok(Attended { output: definition(qkv, lengths, heads)?, sums: Array2::zeros((0, 0)) });
    }
    let rows = qkv.dim(0)?;
    let mut output = Array2::zeros((rows, heads.queries * heads.size));
    let mut sums = Array2::zeros((rows, heads.queries));
    slices([qkv], |[qkv]| {
        let qkv = view(qkv, rows, heads.width())?;
        let outputs = by_head(output.view_mut(), lengths, heads.group() * heads.size);
        let tasks: Vec<_> = inputs(&qkv, lengths, heads)
            .into_iter()
            .zip(outputs)
            .zip(by_head(sums.view_mut(), lengths, heads.group()))
            .collect();
        tasks.into_par_iter().for_each(|((input, output), sums)| input.attend(heads, output, sums));
        Ok::<(), candle_core::Error>(())
    })??;
    let output =
        Tensor::from_vec(output.into_raw_vec_and_offset().0, (rows, heads.queries * heads.size), &Device::Cpu)?;
    Ok(Attended { output, sums })
}

/// The gradient of `qkv` from that of the output.
pub(in crate::train) fn backward(
    qkv: &Tensor,
    lengths: &[usize],
    heads: Heads,
    attended: &Attended,
    gradient: &Tensor,
) -> Result<Tensor> {
    if !qkv.device().is_cpu() {
        let [own] = differentiate([qkv], gradient, |[qkv]| definition(qkv, lengths, heads))?;
        return Ok(own);
    }
    let rows = qkv.dim(0)?;
    let mut result = Array2::zeros((rows, heads.width()));
    slices([qkv, &attended.output, gradient], |[qkv, output, gradient]| {
        let width = heads.queries * heads.size;
        let chunk = heads.group() * heads.size;
        let (q, kv) = result.view_mut().split_at(Axis(1), width);
        let (k, v) = kv.split_at(Axis(1), heads.keys * heads.size);
        let results = by_head(q, lengths, chunk)
            .into_iter()
            .zip(by_head(k, lengths, heads.size))
            .zip(by_head(v, lengths, heads.size));
        let given = by_head(view(output, rows, width)?, lengths, chunk)
            .into_iter()
            .zip(by_head(view(gradient, rows, width)?, lengths, chunk))
            .zip(by_head(attended.sums.view(), lengths, heads.group()));
        let tasks: Vec<_> =
            inputs(&view(qkv, rows, heads.width())?, lengths, heads).into_iter().zip(given).zip(results).collect();
        tasks.into_par_iter().for_each(|((input, ((output, gradient), sums)), ((q, k), v))| {
            input.differentiate(heads, [output, gradient, sums], [q, k, v]);
        });
        Ok::<(), candle_core::Error>(())
    })??;
    Tensor::from_vec(result.into_raw_vec_and_offset().0, (rows, heads.width()), &Device::Cpu)
}

fn view(numbers: &[f32], rows: usize, columns: usize) -> Result<ArrayView2<'_, f32>> {
    ArrayView2::from_shape((rows, columns), numbers).map_err(|error| candle_core::Error::Msg(error.to_string()))
}

/// The part of each sequence and key head, sequence by sequence, in chunks of so many columns.
fn by_head<V: Split>(all: V, lengths: &[usize], columns: usize) -> Vec<V> {
    let (mut rest, mut parts) = (all, Vec::new());
    for &length in lengths {
        let (mut own, others) = rest.split(Axis(0), length);
        while own.columns() > 0 {
            let (chunk, more) = own.split(Axis(1), columns);
            parts.push(chunk);
            own = more;
        }
        rest = others;
    }
    parts
}

/// Views that can be divided, those to read and those to write alike.
trait Split: Sized {
    fn split(self, axis: Axis, at: usize) -> (Self, Self);
    fn columns(&self) -> usize;
}

impl Split for ArrayView2<'_, f32> {
    fn split(self, axis: Axis, at: usize) -> (Self, Self) {
        self.split_at(axis, at)
    }

    fn columns(&self) -> usize {
        self.ncols()
    }
}

impl Split for ArrayViewMut2<'_, f32> {
    fn split(self, axis: Axis, at: usize) -> (Self, Self) {
        self.split_at(axis, at)
    }

    fn columns(&self) -> usize {
        self.ncols()
    }
}

/// One sequence's query heads that share a key head, and that key head: work that depends on no other.
struct Input<'a> {
    q: ArrayView2<'a, f32>,
    k: ArrayView2<'a, f32>,
    v: ArrayView2<'a, f32>,
}

fn inputs<'a>(qkv: &ArrayView2<'a, f32>, lengths: &[usize], heads: Heads) -> Vec<Input<'a>> {
    let (q, kv) = (*qkv).split_at(Axis(1), heads.queries * heads.size);
    let (k, v) = kv.split_at(Axis(1), heads.keys * heads.size);
    let q = by_head(q, lengths, heads.group() * heads.size);
    let k = by_head(k, lengths, heads.size);
    let v = by_head(v, lengths, heads.size);
    q.into_iter().zip(k).zip(v).map(|((q, k), v)| Input { q, k, v }).collect()
}

impl Input<'_> {
    /// Blocks of rows: the first row, and the one behind the last, which is also how many keys the block sees.
    fn blocks(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let rows = self.q.nrows();
        (0..rows).step_by(BLOCK).map(move |start| (start, (start + BLOCK).min(rows)))
    }

    fn attend(&self, heads: Heads, mut output: ArrayViewMut2<'_, f32>, mut sums: ArrayViewMut2<'_, f32>) {
        let mut buffer = Array2::zeros((BLOCK, self.q.nrows()));
        for head in 0..heads.group() {
            let columns = head * heads.size..(head + 1) * heads.size;
            for (start, end) in self.blocks() {
                let q = window(self.q.view(), start..end, columns.clone());
                let mut scores = window(buffer.view_mut(), 0..end - start, 0..end);
                general_mat_mul(heads.scale(), &q, &top(self.k.view(), end).t(), 0.0, &mut scores);
                for (row, mut scores) in scores.rows_mut().into_iter().enumerate() {
                    let Some(scores) = scores.as_slice_mut() else { continue };
                    sums[(start + row, head)] = softmax(scores, start + row + 1);
                }
                let mut output = window(output.view_mut(), start..end, columns.clone());
                general_mat_mul(1.0, &scores, &top(self.v.view(), end), 0.0, &mut output);
            }
        }
    }

    /// With P the shares, D the sum of each row's gradient · output: ∂V = Pᵀ ∂O, ∂S = P ∘ (∂O Vᵀ − D), ∂Q = ∂S K / √d,
    /// ∂K = ∂Sᵀ Q / √d.
    fn differentiate(
        &self,
        heads: Heads,
        [output, gradient, sums]: [ArrayView2<'_, f32>; 3],
        [mut q_out, mut k_out, mut v_out]: [ArrayViewMut2<'_, f32>; 3],
    ) {
        let rows = self.q.nrows();
        let (mut shares_buffer, mut flow_buffer) = (Array2::zeros((BLOCK, rows)), Array2::zeros((BLOCK, rows)));
        for head in 0..heads.group() {
            let columns = head * heads.size..(head + 1) * heads.size;
            for (start, end) in self.blocks() {
                let (keys, values) = (top(self.k.view(), end), top(self.v.view(), end));
                let q = window(self.q.view(), start..end, columns.clone());
                let gradient = window(gradient.view(), start..end, columns.clone());
                let output = window(output.view(), start..end, columns.clone());
                let mut shares = window(shares_buffer.view_mut(), 0..end - start, 0..end);
                let mut flow = window(flow_buffer.view_mut(), 0..end - start, 0..end);
                general_mat_mul(heads.scale(), &q, &keys.t(), 0.0, &mut shares);
                general_mat_mul(1.0, &gradient, &values.t(), 0.0, &mut flow);
                for row in 0..end - start {
                    let dot: f32 = gradient.row(row).iter().zip(output.row(row)).map(|(g, o)| g * o).sum();
                    let (mut shares, mut flow) = (shares.row_mut(row), flow.row_mut(row));
                    let (Some(shares), Some(flow)) = (shares.as_slice_mut(), flow.as_slice_mut()) else { continue };
                    score_gradient(shares, flow, start + row + 1, sums[(start + row, head)], dot);
                }
                let mut q_out = window(q_out.view_mut(), start..end, columns.clone());
                general_mat_mul(heads.scale(), &flow, &keys, 0.0, &mut q_out);
                general_mat_mul(heads.scale(), &flow.t(), &q, 1.0, &mut top(k_out.view_mut(), end));
                general_mat_mul(1.0, &shares.t(), &gradient, 1.0, &mut top(v_out.view_mut(), end));
            }
        }
    }
}

/// A part of a view.
fn window<S: RawData>(all: ArrayBase<S, Ix2>, rows: Range<usize>, columns: Range<usize>) -> ArrayBase<S, Ix2> {
    let mut part = all;
    part.slice_axis_inplace(Axis(0), Slice::from(rows));
    part.slice_axis_inplace(Axis(1), Slice::from(columns));
    part
}

/// The first rows of a view.
fn top<S: RawData>(all: ArrayBase<S, Ix2>, rows: usize) -> ArrayBase<S, Ix2> {
    let columns = all.ncols();
    window(all, 0..rows, 0..columns)
}

/// Makes the first `seen` scores shares that sum to one and the others zero; gives the logarithm of the exponentials' sum.
fn softmax(scores: &mut [f32], seen: usize) -> f32 {
    let (scores, unseen) = scores.split_at_mut(seen);
    unseen.fill(0.0);
    let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    for score in scores.iter_mut() {
        *score = exp(*score - largest);
    }
    let sum: f32 = scores.iter().sum();
    for score in scores.iter_mut() {
        *score /= sum;
    }
    largest + sum.ln()
}

/// Turns scores into shares and the shares' gradients into the scores' gradients, in place.
fn score_gradient(shares: &mut [f32], flow: &mut [f32], seen: usize, sum: f32, dot: f32) {
    let (shares, unseen) = shares.split_at_mut(seen);
    unseen.fill(0.0);
    let (flow, unseen) = flow.split_at_mut(seen);
    unseen.fill(0.0);
    for (share, flow) in shares.iter_mut().zip(flow) {
        *share = exp(*share - sum);
        *flow = *share * (*flow - dot);
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_close, noise};
    use super::*;

    #[test]
    fn fused_equals_definition() {
        let heads = Heads { queries: 4, keys: 2, size: 8 };
        let lengths = [1, 70, 33];
        let (qkv, g) = (noise(1, (104, 64)), noise(2, (104, 32)));
        let attended = forward(&qkv, &lengths, heads).unwrap();
        assert_close(&attended.output, &definition(&qkv, &lengths, heads).unwrap());
        let [expected] = differentiate([&qkv], &g, |[qkv]| definition(qkv, &lengths, heads)).unwrap();
        assert_close(&backward(&qkv, &lengths, heads, &attended, &g).unwrap(), &expected);
    }
}
