//! RMS normalisation: y = x · w / √(mean(x²) + ε), by row.

use candle_core::{Result, Tensor};

use super::{by_row, differentiate, slices};

/// y by plain algebra.
pub(in crate::train) fn definition(x: &Tensor, weight: &Tensor, epsilon: f32) -> Result<Tensor> {
    let mean = x.sqr()?.mean_keepdim(1)?;
    x.broadcast_div(&(mean + f64::from(epsilon))?.sqrt()?)?.broadcast_mul(weight)
}

/// y from x ∈ R^(rows × d).
pub(in crate::train) fn forward(x: &Tensor, weight: &Tensor, epsilon: f32) -> Result<Tensor> {
    if !x.device().is_cpu() {
        return definition(x, weight, epsilon);
    }
    let (rows, width) = x.dims2()?;
    slices([x, weight], |[x, weight]| {
        by_row(rows, width, |row, out| {
            let x = &x[row * width..][..width];
            let scale = inverse_root(x, epsilon);
            out.iter_mut().zip(x).zip(weight).for_each(|((out, x), weight)| *out = x * scale * weight);
        })
    })?
}

/// The gradient of x, added to `residual`: what flows past the normalisation in a block.
///
/// With s = 1/√(mean(x²) + ε) and h = g · w: ∂x = s·h − x · s³ · mean(h · x).
pub(in crate::train) fn backward(
    x: &Tensor,
    weight: &Tensor,
    epsilon: f32,
    gradient: &Tensor,
    residual: &Tensor,
) -> Result<Tensor> {
    if !x.device().is_cpu() {
        let [own] = differentiate([x], gradient, |[x]| definition(x, weight, epsilon))?;
        return own + residual;
    }
    let (rows, width) = x.dims2()?;
    slices([x, weight, gradient, residual], |[x, weight, gradient, residual]| {
        by_row(rows, width, |row, out| {
            let of = |all: &[f32]| -> std::ops::Range<usize> {
                debug_assert!(all.len() >= width);
                row * width..(row + 1) * width
            };
            let (x, g, past) = (&x[of(x)], &gradient[of(gradient)], &residual[of(residual)]);
            let scale = inverse_root(x, epsilon);
            let dot: f32 = lanes(x.iter().zip(g).zip(weight).map(|((x, g), weight)| x * g * weight));
            #[expect(clippy::cast_precision_loss, reason = "widths are small")]
            let pull = scale * scale * scale * dot / width as f32;
            for (index, out) in out.iter_mut().enumerate() {
                *out = past[index] + scale * g[index] * weight[index] - pull * x[index];
            }
        })
    })?
}

fn inverse_root(x: &[f32], epsilon: f32) -> f32 {
    #[expect(clippy::cast_precision_loss, reason = "widths are small")]
    let mean = lanes(x.iter().map(|x| x * x)) / x.len() as f32;
    1.0 / (mean + epsilon).sqrt()
}

/// A sum in eight interleaved parts: quick, and closer than one running sum.
fn lanes(numbers: impl Iterator<Item = f32>) -> f32 {
    let mut sums = [0f32; 8];
    numbers.enumerate().for_each(|(index, number)| sums[index % 8] += number);
    sums.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_close, noise};
    use super::*;

    #[test]
    fn fused_equals_definition() {
        let (x, g, past) = (noise(1, (5, 48)), noise(2, (5, 48)), noise(3, (5, 48)));
        let weight = noise(4, (1, 48)).flatten_all().unwrap();
        assert_close(&forward(&x, &weight, 1e-5).unwrap(), &definition(&x, &weight, 1e-5).unwrap());
        let [own] = differentiate([&x], &g, |[x]| definition(x, &weight, 1e-5)).unwrap();
        assert_close(&backward(&x, &weight, 1e-5, &g, &past).unwrap(), &(own + &past).unwrap());
    }
}
