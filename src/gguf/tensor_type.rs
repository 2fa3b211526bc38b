//! How a tensor's numbers are stored, and how to get them out as `f32`.

use std::fmt;

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};

/// A ggml tensor type by its number in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TensorType(pub u32);

/// How many numbers are converted at a time.
const BLOCK: usize = 1024;

/// Number, name, numbers in a block, bytes in a block, for each type of ggml that may stand in a file.
const KNOWN: [(u32, &str, u64, u64); 27] = [
    (0, "F32", 1, 4),
    (1, "F16", 1, 2),
    (2, "Q4_0", 32, 18),
    (3, "Q4_1", 32, 20),
    (6, "Q5_0", 32, 22),
    (7, "Q5_1", 32, 24),
    (8, "Q8_0", 32, 34),
    (9, "Q8_1", 32, 36),
    (10, "Q2_K", 256, 84),
    (11, "Q3_K", 256, 110),
    (12, "Q4_K", 256, 144),
    (13, "Q5_K", 256, 176),
    (14, "Q6_K", 256, 210),
    (16, "IQ2_XXS", 256, 66),
    (17, "IQ2_XS", 256, 74),
    (18, "IQ3_XXS", 256, 98),
    (19, "IQ1_S", 256, 50),
    (20, "IQ4_NL", 32, 18),
    (21, "IQ3_S", 256, 110),
    (22, "IQ2_S", 256, 82),
    (23, "IQ4_XS", 256, 136),
    (24, "I8", 1, 1),
    (25, "I16", 1, 2),
    (26, "I32", 1, 4),
    (27, "I64", 1, 8),
    (28, "F64", 1, 8),
    (30, "BF16", 1, 2),
];

impl TensorType {
    /// 32-bit floats.
    pub const F32: Self = Self(0);
    /// 16-bit IEEE floats.
    pub const F16: Self = Self(1);
    /// Blocks of 32 four-bit numbers behind a 16-bit scale and a 16-bit minimum.
    pub const Q4_1: Self = Self(3);
    /// Blocks of 32 signed bytes behind one 16-bit scale.
    pub const Q8_0: Self = Self(8);
    /// The upper half of 32-bit floats.
    pub const BF16: Self = Self(30);

    /// Numbers in a block and bytes in a block, `None` for a type that is not known here.
    #[must_use]
    pub fn block(self) -> Option<(u64, u64)> {
        KNOWN.iter().find(|known| known.0 == self.0).map(|known| (known.2, known.3))
    }

    /// Whether [`TensorType::decode`] can read it.
    #[must_use]
    pub fn is_readable(self) -> bool {
        matches!(self, Self::F32 | Self::F16 | Self::BF16 | Self::Q4_1 | Self::Q8_0)
    }

    /// The numbers that `bytes` hold; a tail that fills no whole block is left out. Empty for types that are not readable.
    #[must_use]
    pub fn decode(self, bytes: &[u8]) -> Vec<f32> {
        match self {
            Self::F32 => chunks(bytes).map(f32::from_le_bytes).collect(),
            Self::F16 => decode_f16(bytes),
            Self::BF16 => chunks(bytes).map(|raw| bf16::from_le_bytes(raw).to_f32()).collect(),
            Self::Q4_1 => bytes.as_chunks::<20>().0.iter().flat_map(decode_q4_1).collect(),
            Self::Q8_0 => bytes.as_chunks::<34>().0.iter().flat_map(decode_q8_0).collect(),
            Self(_) => Vec::new(),
        }
    }

    /// The numbers as bytes, rounded to what the type holds; a tail that fills no whole block is left out. `None` for types
    /// that are not written.
    #[must_use]
    pub fn encode(self, numbers: &[f32]) -> Option<Vec<u8>> {
        match self {
            Self::F32 => Some(encode_f32(numbers)),
            Self::F16 => Some(encode_f16(numbers)),
            Self::Q8_0 => Some(encode_q8_0(numbers)),
            Self(_) => None,
        }
    }
}

impl fmt::Display for TensorType {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match KNOWN.iter().find(|known| known.0 == self.0) {
            Some(known) => out.write_str(known.1),
            None => write!(out, "type {}", self.0),
        }
    }
}

fn chunks<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; N]> {
    bytes.as_chunks::<N>().0.iter().copied()
}

/// Block by block, because whole slices convert several numbers an instruction.
fn decode_f16(bytes: &[u8]) -> Vec<f32> {
    let mut numbers = vec![0.0; bytes.len() / 2];
    let mut block = [f16::ZERO; BLOCK];
    for (out, raw) in numbers.chunks_mut(BLOCK).zip(bytes.chunks(2 * BLOCK)) {
        let block = &mut block[..out.len()];
        block.iter_mut().zip(chunks(raw)).for_each(|(half, raw)| *half = f16::from_le_bytes(raw));
        block.convert_to_f32_slice(out);
    }
    numbers
}

pub(super) fn encode_f32(numbers: &[f32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

/// The numbers rounded to F16, as bytes.
pub(super) fn encode_f16(numbers: &[f32]) -> Vec<u8> {
    let mut bytes = vec![0; numbers.len() * 2];
    let mut block = [f16::ZERO; BLOCK];
    for (raw, numbers) in bytes.chunks_mut(2 * BLOCK).zip(numbers.chunks(BLOCK)) {
        let block = &mut block[..numbers.len()];
        block.convert_from_f32_slice(numbers);
        raw.as_chunks_mut::<2>().0.iter_mut().zip(block).for_each(|(raw, half)| *raw = half.to_le_bytes());
    }
    bytes
}

/// The first sixteen numbers are in the bytes' lower halves, the others in the upper ones.
fn decode_q4_1(block: &[u8; 20]) -> [f32; 32] {
    let half = |at: usize| f16::from_le_bytes([block[at], block[at + 1]]).to_f32();
    let (scale, minimum) = (half(0), half(2));
    std::array::from_fn(|i| {
        let byte = block[4 + i % 16];
        scale * f32::from(if i < 16 { byte & 15 } else { byte >> 4 }) + minimum
    })
}

/// The numbers rounded to Q8_0, as bytes; a tail that fills no whole block is left out.
pub(super) fn encode_q8_0(numbers: &[f32]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(numbers.len() / 32 * 34);
    for block in numbers.as_chunks::<32>().0 {
        let largest = block.iter().fold(0f32, |largest, number| largest.max(number.abs()));
        let scale = f16::from_f32(largest / 127.0);
        bytes.extend(scale.to_le_bytes());
        let inverse = if scale == f16::ZERO { 0.0 } else { 1.0 / scale.to_f32() };
        #[expect(clippy::cast_possible_truncation, reason = "casts of floats saturate")]
        bytes.extend(block.map(|number| ((number * inverse).round_ties_even() as i8).to_le_bytes()[0]));
    }
    bytes
}

fn decode_q8_0(block: &[u8; 34]) -> [f32; 32] {
    let scale = f16::from_le_bytes([block[0], block[1]]).to_f32();
    std::array::from_fn(|i| scale * f32::from(i8::from_le_bytes([block[i + 2]])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn q8_0_is_scale_times_signed_byte() {
        let mut block = [0u8; 34];
        block[..2].copy_from_slice(&f16::from_f32(0.5).to_le_bytes());
        block[2] = 3;
        block[33] = (-128i8).to_le_bytes()[0];
        let numbers = TensorType::Q8_0.decode(&block);
        assert_eq!((numbers[0], numbers[1], numbers[31]), (1.5, 0.0, -64.0));
    }

    #[test]
    fn q4_1_is_scale_times_half_byte_plus_minimum() {
        let mut block = [0u8; 20];
        block[..2].copy_from_slice(&f16::from_f32(0.5).to_le_bytes());
        block[2..4].copy_from_slice(&f16::from_f32(-2.0).to_le_bytes());
        (block[4], block[19]) = (0xf3, 0x10);
        let numbers = TensorType::Q4_1.decode(&block);
        assert_eq!((numbers[0], numbers[16], numbers[15], numbers[31]), (-0.5, 5.5, -2.0, -1.5));
    }

    #[test]
    fn q8_0_keeps_numbers_to_half_a_step() {
        let numbers: Vec<f32> = (0u8..96).map(|i| (f32::from(i) - 40.0) * if i < 32 { 0.0 } else { 0.37 }).collect();
        let again = TensorType::Q8_0.decode(&encode_q8_0(&numbers));
        assert_eq!(again.len(), numbers.len());
        for (block, kept) in numbers.chunks(32).zip(again.chunks(32)) {
            let step = block.iter().fold(0f32, |largest, number| largest.max(number.abs())) / 127.0;
            assert!(block.iter().zip(kept).all(|(number, kept)| (number - kept).abs() <= 0.6 * step));
        }
    }

    #[test]
    fn bf16_is_the_upper_half_of_f32() {
        assert_eq!(TensorType::BF16.decode(&[0x80, 0x3f, 0x00, 0xc0]), [1.0, -2.0]);
    }
}
