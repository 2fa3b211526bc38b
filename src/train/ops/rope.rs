//! Rotary position embedding of the query and key heads in a tensor of q, k and v side by side.
//!
//! A pair of a head's numbers is turned by position · frequency. GGUF's llama pairs neighbours (its q and k rows are
//! permuted for that), qwen2 pairs the two halves.

use candle_core::{Device, Result, Tensor};

use super::{by_row, slices};

/// Which two numbers of a head are turned together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::train) enum Pairing {
    /// 2i and 2i + 1.
    Neighbours,
    /// i and i + half.
    Halves,
}

/// Angles of all positions, and which heads they turn.
#[derive(Debug, Clone)]
pub(in crate::train) struct Rope {
    /// How numbers are paired.
    pub(in crate::train) pairing: Pairing,
    /// Numbers of a head.
    pub(in crate::train) head: usize,
    /// Numbers of a head that are turned: the first ones.
    pub(in crate::train) turned: usize,
    /// Heads that are turned: those of queries and keys.
    pub(in crate::train) heads: usize,
    /// The frequency of each pair, in radians a position.
    pub(in crate::train) frequencies: Vec<f32>,
}

/// Which way heads are turned: with their positions, or back, which is the gradient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::train) enum Turn {
    /// By the position's angle.
    Forth,
    /// By its negative.
    Back,
}

impl Rope {
    fn places(&self, pair: usize) -> (usize, usize) {
        match self.pairing {
            Pairing::Neighbours => (2 * pair, 2 * pair + 1),
            Pairing::Halves => (pair, pair + self.turned / 2),
        }
    }

    /// Cosine and sine of each pair's angle at a position.
    #[expect(clippy::cast_precision_loss, reason = "positions are below 2^24")]
    fn angles(&self, position: usize, turn: Turn) -> Vec<(f32, f32)> {
        let sign = if turn == Turn::Forth { 1.0 } else { -1.0 };
        let angle = |frequency: &f32| (f64::from(*frequency) * position as f64).sin_cos();
        #[expect(clippy::cast_possible_truncation, reason = "f32 is what is computed with")]
        let pair = |(sine, cosine): (f64, f64)| (cosine as f32, sign * sine as f32);
        self.frequencies.iter().map(angle).map(pair).collect()
    }

    /// Turns the heads of every row; `positions` are the rows' places in their sequences.
    pub(in crate::train) fn turn(&self, qkv: &Tensor, positions: &[usize], turn: Turn) -> Result<Tensor> {
        if !qkv.device().is_cpu() {
            let here = self.turn(&qkv.to_device(&Device::Cpu)?, positions, turn)?;
            return here.to_device(qkv.device());
        }
        let (rows, width) = qkv.dims2()?;
        let longest = positions.iter().max().map_or(0, |last| last + 1);
        let angles: Vec<_> = (0..longest).map(|position| self.angles(position, turn)).collect();
        slices([&qkv.contiguous()?], |[qkv]| {
            by_row(rows, width, |row, out| {
                out.copy_from_slice(&qkv[row * width..][..width]);
                for head in out.chunks_exact_mut(self.head).take(self.heads) {
                    for (pair, (cosine, sine)) in angles[positions[row]].iter().enumerate() {
                        let (i, j) = self.places(pair);
                        let (x, y) = (head[i], head[j]);
                        head[i] = x * cosine - y * sine;
                        head[j] = x * sine + y * cosine;
                    }
                }
            })
        })?
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_close, noise};
    use super::*;

    #[test]
    fn turning_back_undoes_turning() {
        for pairing in [Pairing::Neighbours, Pairing::Halves] {
            let rope = Rope { pairing, head: 8, turned: 6, heads: 3, frequencies: vec![1.0, 0.1, 0.01] };
            let x = noise(1, (4, 32));
            let turned = rope.turn(&x, &[0, 1, 2, 7], Turn::Forth).unwrap();
            assert_close(&rope.turn(&turned, &[0, 1, 2, 7], Turn::Back).unwrap(), &x);
            let same = |from: usize, columns: usize| {
                let part = |tensor: &Tensor| tensor.narrow(0, from, 1).unwrap().narrow(1, 24, columns).unwrap();
                assert_close(&part(&turned), &part(&x));
            };
            (0..4).for_each(|row| same(row, 8));
            assert_close(&turned.narrow(0, 0, 1).unwrap(), &x.narrow(0, 0, 1).unwrap());
        }
    }
}
