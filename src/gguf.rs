//! The GGUF file format, version 3: header, metadata, and tensors as far as adapters need them.
//!
//! Format: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>. Files are untrusted: every length is
//! checked against what is left of the file before anything is allocated for it.

mod read;
mod rewrite;
mod tensor_type;
mod write;

pub use read::{File, ReadError};
pub use tensor_type::TensorType;
pub use write::{Data, Writer};

/// The four bytes at the start of every GGUF file.
pub const MAGIC: [u8; 4] = *b"GGUF";

/// The format version that is written, and the newest that is read.
pub const VERSION: u32 = 3;

/// The metadata key that sets the alignment of tensor data.
pub const ALIGNMENT_KEY: &str = "general.alignment";

/// The alignment of tensor data where the file names no other, in bytes.
pub const ALIGNMENT: u64 = 32;

/// The longest tensor name that ggml takes, in bytes (`GGML_MAX_NAME` less its terminator).
pub const MAX_TENSOR_NAME: usize = 63;

/// A metadata value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Any integer type of the format, widened.
    Integer(i128),
    /// A 32-bit float.
    F32(f32),
    /// A 64-bit float.
    F64(f64),
    /// A boolean.
    Bool(bool),
    /// UTF-8 text.
    String(String),
    /// An array. Its elements are checked but not kept: nothing here reads any.
    Array {
        /// How many elements it has.
        len: u64,
    },
}

impl Value {
    /// The text, where the value is one.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            Self::Integer(_) | Self::F32(_) | Self::F64(_) | Self::Bool(_) | Self::Array { .. } => None,
        }
    }

    /// The number, where the value is a non-negative integer.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Self::Integer(number) => u64::try_from(*number).ok(),
            Self::F32(_) | Self::F64(_) | Self::Bool(_) | Self::String(_) | Self::Array { .. } => None,
        }
    }

    /// The number, where the value is a 32-bit float.
    #[must_use]
    pub fn as_f32(&self) -> Option<f32> {
        match self {
            Self::F32(number) => Some(*number),
            Self::Integer(_) | Self::F64(_) | Self::Bool(_) | Self::String(_) | Self::Array { .. } => None,
        }
    }
}

/// A tensor's entry in the header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// Its name, unique in the file.
    pub name: String,
    /// Its dimensions in GGUF order: the fastest-running first, so a row-major matrix of r rows and c columns is `[c, r]`.
    pub shape: Vec<u64>,
    /// How its numbers are stored.
    pub tensor_type: TensorType,
    /// Where its data starts, in bytes from the start of the data section.
    pub offset: u64,
}

impl TensorInfo {
    /// How many numbers it holds, `None` where that overflows.
    #[must_use]
    pub fn elements(&self) -> Option<u64> {
        self.shape.iter().try_fold(1u64, |product, size| product.checked_mul(*size))
    }

    /// How many bytes its data takes; `None` where that overflows or the type's size is not known.
    #[must_use]
    pub fn bytes(&self) -> Option<u64> {
        let (block, size) = self.tensor_type.block()?;
        let row = *self.shape.first()?;
        if row % block != 0 {
            return None;
        }
        (self.elements()? / block).checked_mul(size)
    }
}
