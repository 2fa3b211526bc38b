//! Cross-entropy of the output tokens, in nats, and the gradient of their hidden states.
//!
//! Logits are computed here and only for output positions, a block of rows at a time: a vocabulary is wide.

use candle_core::{CpuStorage, Device, InplaceOp1, Layout, Result, Tensor};
use rayon::prelude::*;

use super::exp;

/// Rows whose logits are in memory at a time.
const ROWS: usize = 128;

/// The sum of losses over all rows, and the gradient of `hidden` for `scale` times that sum where it is asked for.
///
/// `hidden` ∈ R^(rows × d), `output` ∈ R^(vocabulary × d), one target for each row.
pub(in crate::train) fn cross_entropy(
    hidden: &Tensor,
    output: &Tensor,
    targets: &[u32],
    scale: Option<f32>,
) -> Result<(f64, Option<Tensor>)> {
    let (rows, _) = hidden.dims2()?;
    let (mut sum, mut gradients) = (0.0, Vec::new());
    for start in (0..rows).step_by(ROWS) {
        let count = ROWS.min(rows - start);
        let logits = hidden.narrow(0, start, count)?.matmul(&output.t()?)?;
        // On other devices the logits make a round trip: a small share of their products' time.
        let device = logits.device().clone();
        let logits = logits.to_device(&Device::Cpu)?;
        let targets = &targets[start..start + count];
        let losses = std::sync::Mutex::new(vec![0f32; count]);
        logits.inplace_op1(&SoftmaxLess { targets, scale: scale.unwrap_or(1.0), losses: &losses })?;
        let losses = losses.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        sum += losses.into_iter().map(f64::from).sum::<f64>();
        if scale.is_some() {
            gradients.push(logits.to_device(&device)?.matmul(output)?);
        }
    }
    let gradient = if gradients.is_empty() { None } else { Some(Tensor::cat(&gradients, 0)?) };
    Ok((sum, gradient))
}

/// Turns logits into scale · (softmax − one-hot target), which is their gradient, and notes each row's loss.
struct SoftmaxLess<'a> {
    targets: &'a [u32],
    scale: f32,
    losses: &'a std::sync::Mutex<Vec<f32>>,
}

impl InplaceOp1 for SoftmaxLess<'_> {
    fn name(&self) -> &'static str {
        "softmax-less-target"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        let (CpuStorage::F32(numbers), Some((start, end))) = (storage, layout.contiguous_offsets()) else {
            candle_core::bail!("contiguous F32 logits were expected");
        };
        let rows = &mut numbers[start..end];
        let width = rows.len() / self.targets.len().max(1);
        let losses: Vec<f32> =
            rows.par_chunks_mut(width).zip(self.targets).map(|(row, target)| self.row(row, *target as usize)).collect();
        *self.losses.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = losses;
        Ok(())
    }
}

impl SoftmaxLess<'_> {
    fn row(&self, row: &mut [f32], target: usize) -> f32 {
        let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let wanted = row[target] - largest;
        // In blocks, so that 50,000 small numbers don't drown in one running sum.
        let mut sum = 0f64;
        for block in row.chunks_mut(256) {
            for logit in block.iter_mut() {
                *logit = exp(*logit - largest);
            }
            sum += f64::from(block.iter().sum::<f32>());
        }
        #[expect(clippy::cast_possible_truncation, reason = "f32 is what is computed with")]
        let factor = (f64::from(self.scale) / sum) as f32;
        for number in row.iter_mut() {
            *number *= factor;
        }
        row[target] -= self.scale;
        #[expect(clippy::cast_possible_truncation, reason = "f32 is what is computed with")]
        let loss = (sum.ln() - f64::from(wanted)) as f32;
        loss
    }
}

#[cfg(test)]
mod tests {
    use candle_core::D;

    use super::super::differentiate;
    use super::super::testing::{assert_close, noise};
    use super::*;

    #[test]
    fn equals_its_definition() {
        let rows = 2 * ROWS + 3;
        let (hidden, output) = (noise(1, (rows, 16)), noise(2, (40, 16)));
        let targets: Vec<u32> = (0..40).cycle().step_by(7).take(rows).collect();
        let definition = |hidden: &Tensor| {
            let logits = hidden.matmul(&output.t()?)?;
            let log = logits.broadcast_sub(&logits.exp()?.sum_keepdim(D::Minus1)?.log()?)?;
            let at = Tensor::new(&targets[..], &Device::Cpu)?.unsqueeze(1)?;
            log.gather(&at, 1)?.neg()?.sum_all()?.reshape((1, 1))
        };
        let (sum, gradient) = cross_entropy(&hidden, &output, &targets, Some(0.5)).unwrap();
        let expected = definition(&hidden).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap()[0];
        assert!((sum - f64::from(expected)).abs() < 1e-2, "{sum} {expected}");
        let half = Tensor::new(&[[0.5f32]], &Device::Cpu).unwrap();
        let [expected] = differentiate([&hidden], &half, |[hidden]| definition(hidden)).unwrap();
        assert_close(&gradient.unwrap(), &expected);
    }
}
