//! Writing GGUF version 3.

use std::io::{self, Write};

use super::tensor_type::{encode_f16, encode_f32, encode_q8_0};
use super::{ALIGNMENT, MAGIC, TensorType, VERSION, Value};

/// A tensor's numbers on their way into a file, row-major.
#[derive(Debug, Clone, Copy)]
pub enum Data<'a> {
    /// Written as they are.
    F32(&'a [f32]),
    /// Rounded to 16 bits.
    F16(&'a [f32]),
    /// Rounded to signed bytes, a 16-bit scale for each 32.
    Q8_0(&'a [f32]),
}

impl<'a> Data<'a> {
    /// In 16 bits; as they are where one is out of their range.
    #[must_use]
    pub fn in_half(numbers: &'a [f32]) -> Self {
        let largest = numbers.iter().fold(0f32, |largest, number| largest.max(number.abs()));
        if largest < half::f16::MAX.to_f32() { Self::F16(numbers) } else { Self::F32(numbers) }
    }

    /// In blocks of bytes where rows of `columns` numbers are whole blocks; else in 16 bits.
    #[must_use]
    pub fn in_bytes(numbers: &'a [f32], columns: usize) -> Self {
        let half = Self::in_half(numbers);
        match half {
            Self::F16(numbers) if columns.is_multiple_of(32) => Self::Q8_0(numbers),
            _ => half,
        }
    }

    fn tensor_type(self) -> TensorType {
        match self {
            Self::F32(_) => TensorType::F32,
            Self::F16(_) => TensorType::F16,
            Self::Q8_0(_) => TensorType::Q8_0,
        }
    }

    fn bytes(self) -> Vec<u8> {
        match self {
            Self::F32(numbers) => encode_f32(numbers),
            Self::F16(numbers) => encode_f16(numbers),
            Self::Q8_0(numbers) => encode_q8_0(numbers),
        }
    }

    fn size(self) -> u64 {
        match self {
            Self::F32(numbers) => numbers.len() as u64 * 4,
            Self::F16(numbers) => numbers.len() as u64 * 2,
            Self::Q8_0(numbers) => numbers.len() as u64 / 32 * 34,
        }
    }
}

/// Collects metadata and tensors, then writes them.
#[derive(Debug, Default)]
pub struct Writer<'a> {
    metadata: Vec<(String, Value)>,
    tensors: Vec<(String, Vec<u64>, Data<'a>)>,
}

impl<'a> Writer<'a> {
    /// An empty file.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a metadata entry. Integers are written as 32-bit unsigned where they fit, as 64-bit signed otherwise.
    pub fn set(&mut self, key: impl Into<String>, value: Value) {
        self.metadata.push((key.into(), value));
    }

    /// Adds a tensor; `shape` is in GGUF order (fastest first) and must match the number of numbers.
    pub fn tensor(&mut self, name: impl Into<String>, shape: &[u64], data: Data<'a>) {
        self.tensors.push((name.into(), shape.to_vec(), data));
    }

    /// Writes the whole file.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut header = Vec::new();
        header.extend_from_slice(&MAGIC);
        header.extend_from_slice(&VERSION.to_le_bytes());
        header.extend_from_slice(&(self.tensors.len() as u64).to_le_bytes());
        header.extend_from_slice(&(self.metadata.len() as u64).to_le_bytes());
        for (key, value) in &self.metadata {
            put_text(&mut header, key);
            put_value(&mut header, value)?;
        }
        let mut offset = 0u64;
        for (name, shape, data) in &self.tensors {
            put_text(&mut header, name);
            header.extend_from_slice(&u32::try_from(shape.len()).map_err(io::Error::other)?.to_le_bytes());
            header.extend(shape.iter().flat_map(|size| size.to_le_bytes()));
            header.extend_from_slice(&data.tensor_type().0.to_le_bytes());
            header.extend_from_slice(&offset.to_le_bytes());
            offset = (offset + data.size()).next_multiple_of(ALIGNMENT);
        }
        pad(&mut header);
        out.write_all(&header)?;
        for (_, _, data) in &self.tensors {
            let mut bytes = data.bytes();
            pad(&mut bytes);
            out.write_all(&bytes)?;
        }
        Ok(())
    }
}

fn pad(bytes: &mut Vec<u8>) {
    while !(bytes.len() as u64).is_multiple_of(ALIGNMENT) {
        bytes.push(0);
    }
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(&(text.len() as u64).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

fn put_value(out: &mut Vec<u8>, value: &Value) -> io::Result<()> {
    let mut put = |kind: u32, bytes: &[u8]| {
        out.extend_from_slice(&kind.to_le_bytes());
        out.extend_from_slice(bytes);
    };
    match value {
        Value::Integer(number) => match (u32::try_from(*number), i64::try_from(*number)) {
            (Ok(number), _) => put(4, &number.to_le_bytes()),
            (_, Ok(number)) => put(11, &number.to_le_bytes()),
            (_, Err(error)) => return Err(io::Error::other(error)),
        },
        Value::F32(number) => put(6, &number.to_le_bytes()),
        Value::F64(number) => put(12, &number.to_le_bytes()),
        Value::Bool(flag) => put(7, &[u8::from(*flag)]),
        Value::String(text) => {
            put(8, &[]);
            put_text(out, text);
        }
        Value::Array { .. } => {
            return Err(io::Error::other("an array's elements are not kept, so it cannot be written"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_take_rows_of_whole_blocks_in_range() {
        let kind = |number: f32, columns: usize| Data::in_bytes(&[number; 64], columns).tensor_type();
        assert_eq!(kind(0.5, 32), TensorType::Q8_0);
        assert_eq!(kind(0.5, 4), TensorType::F16);
        assert_eq!(kind(1e6, 32), TensorType::F32);
    }
}
