//! The operations of a transformer, forward and backward.
//!
//! Each is written twice. Its `definition` is plain tensor algebra: it runs on any device, candle differentiates it, and
//! tests hold the other form to it. The fused form is for the CPU, where memory traffic decides: it walks rows once, on
//! all threads. Matrix products are candle's on every device.

pub(super) mod attention;
mod exp;
pub(super) mod loss;
pub(super) mod norm;
pub(super) mod rope;
pub(super) mod swiglu;

use candle_core::{CpuStorage, Device, Result, Storage, Tensor, Var};
use rayon::prelude::*;

pub(super) use exp::exp;

/// Hands the numbers of contiguous CPU tensors to `work`.
pub(super) fn slices<const N: usize, R>(tensors: [&Tensor; N], work: impl FnOnce([&[f32]; N]) -> R) -> Result<R> {
    let held = tensors.map(Tensor::storage_and_layout);
    let mut found: [&[f32]; N] = [&[]; N];
    for (slot, (storage, layout)) in found.iter_mut().zip(&held) {
        let (Storage::Cpu(CpuStorage::F32(numbers)), Some((start, end))) = (&**storage, layout.contiguous_offsets())
        else {
            candle_core::bail!("a contiguous F32 tensor on the CPU was expected");
        };
        *slot = &numbers[start..end];
    }
    Ok(work(found))
}

/// A CPU tensor of `rows` × `columns`, each row filled by `fill`, on all threads.
pub(super) fn by_row(rows: usize, columns: usize, fill: impl Fn(usize, &mut [f32]) + Send + Sync) -> Result<Tensor> {
    let mut data = vec![0f32; rows * columns];
    data.par_chunks_mut(columns.max(1)).with_min_len(16).enumerate().for_each(|(row, out)| fill(row, out));
    Tensor::from_vec(data, (rows, columns), &Device::Cpu)
}

/// The gradients of `definition`'s inputs from the gradient of its result, by candle's automatic differentiation.
pub(super) fn differentiate<const N: usize>(
    inputs: [&Tensor; N],
    gradient: &Tensor,
    definition: impl FnOnce([&Tensor; N]) -> Result<Tensor>,
) -> Result<[Tensor; N]> {
    let mut variables = Vec::with_capacity(N);
    for input in inputs {
        variables.push(Var::from_tensor(input)?);
    }
    let result = definition(std::array::from_fn(|index| variables[index].as_tensor()))?;
    let store = (result * gradient)?.sum_all()?.backward()?;
    let mut gradients = inputs.map(Clone::clone);
    for (slot, variable) in gradients.iter_mut().zip(&variables) {
        *slot = match store.get(variable) {
            Some(found) => found.clone(),
            None => slot.zeros_like()?,
        };
    }
    Ok(gradients)
}

#[cfg(test)]
pub(super) mod testing {
    use candle_core::{Device, Tensor};

    /// Numbers in ±1, the same each time.
    pub(in crate::train) fn noise(seed: u64, shape: (usize, usize)) -> Tensor {
        let mut random = fastrand::Rng::with_seed(seed);
        let numbers: Vec<f32> = (0..shape.0 * shape.1).map(|_| random.f32() * 2.0 - 1.0).collect();
        Tensor::from_vec(numbers, shape, &Device::Cpu).unwrap()
    }

    pub(in crate::train) fn assert_close(found: &Tensor, expected: &Tensor) {
        let difference = (found - expected).unwrap().abs().unwrap().flatten_all().unwrap();
        let largest = difference.max(0).unwrap().to_scalar::<f32>().unwrap();
        assert!(largest < 2e-5, "differs by {largest}");
    }
}
