//! SwiGLU: y = silu(gate) · up, silu(z) = z / (1 + e^−z); gate and up lie side by side in one tensor of 2 f columns.

use candle_core::{Result, Tensor};

use super::{by_row, differentiate, exp, slices};

/// y by plain algebra.
pub(in crate::train) fn definition(gate_up: &Tensor) -> Result<Tensor> {
    let width = gate_up.dim(1)? / 2;
    let (gate, up) = (gate_up.narrow(1, 0, width)?, gate_up.narrow(1, width, width)?);
    gate.silu()? * up
}

/// y ∈ R^(rows × f) from gate and up ∈ R^(rows × 2 f).
pub(in crate::train) fn forward(gate_up: &Tensor) -> Result<Tensor> {
    if !gate_up.device().is_cpu() {
        return definition(gate_up);
    }
    let (rows, both) = gate_up.dims2()?;
    let width = both / 2;
    slices([gate_up], |[gate_up]| {
        by_row(rows, width, |row, out| {
            let (gate, up) = gate_up[row * both..][..both].split_at(width);
            out.iter_mut().zip(gate).zip(up).for_each(|((out, gate), up)| *out = gate * sigmoid(*gate) * up);
        })
    })?
}

/// The gradient of gate and up. With σ = 1/(1 + e^−gate): ∂gate = g · up · σ · (1 + gate · (1 − σ)), ∂up = g · gate · σ.
pub(in crate::train) fn backward(gate_up: &Tensor, gradient: &Tensor) -> Result<Tensor> {
    if !gate_up.device().is_cpu() {
        let [own] = differentiate([gate_up], gradient, |[gate_up]| definition(gate_up))?;
        return Ok(own);
    }
    let (rows, both) = gate_up.dims2()?;
    let width = both / 2;
    slices([gate_up, gradient], |[gate_up, gradient]| {
        by_row(rows, both, |row, out| {
            let (gate, up) = gate_up[row * both..][..both].split_at(width);
            let g = &gradient[row * width..][..width];
            let (gate_out, up_out) = out.split_at_mut(width);
            let outs = gate_out.iter_mut().zip(up_out);
            for (((gate, up), g), (gate_out, up_out)) in gate.iter().zip(up).zip(g).zip(outs) {
                let sigma = sigmoid(*gate);
                *gate_out = g * up * sigma * (1.0 + gate * (1.0 - sigma));
                *up_out = g * gate * sigma;
            }
        })
    })?
}

#[inline]
fn sigmoid(z: f32) -> f32 {
    1.0 / (1.0 + exp(-z))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_close, noise};
    use super::*;

    #[test]
    fn fused_equals_definition() {
        let (gate_up, g) = ((noise(1, (5, 24)) * 6.0).unwrap(), noise(2, (5, 12)));
        assert_close(&forward(&gate_up).unwrap(), &definition(&gate_up).unwrap());
        let [own] = differentiate([&gate_up], &g, |[gate_up]| definition(gate_up)).unwrap();
        assert_close(&backward(&gate_up, &g).unwrap(), &own);
    }
}
