//! A GGUF file anew, some of its tensors in another type.

use std::io::{self, Read, Seek, SeekFrom, Write};

use super::{File, TensorInfo, TensorType};

impl File {
    /// Writes the file with each tensor in the type that `types` gives for its present one. What keeps its type stays as it
    /// is, metadata byte for byte. The error of a type that cannot be read or written is of kind `InvalidData`.
    pub fn write_with(&mut self, types: impl Fn(TensorType) -> TensorType, out: &mut dyn Write) -> io::Result<()> {
        let before = self.tensors.clone();
        let mut after = before.clone();
        let mut offset = 0;
        for tensor in &mut after {
            tensor.tensor_type = types(tensor.tensor_type);
            tensor.offset = offset;
            let bytes = tensor.bytes().ok_or_else(|| io::Error::other(format!("the size of `{}`", tensor.name)))?;
            offset = (offset + bytes).next_multiple_of(self.alignment);
        }
        let mut head = Vec::new();
        self.reader.seek(SeekFrom::Start(0))?;
        self.reader.by_ref().take(self.entries).read_to_end(&mut head)?;
        for tensor in &after {
            put_entry(&mut head, tensor);
        }
        self.put_aligned(out, head)?;
        for (before, after) in before.iter().zip(&after) {
            let data = match before.tensor_type == after.tensor_type {
                true => self.read_bytes(before).map_err(io::Error::other)?,
                false => {
                    after.tensor_type.encode(&self.read_tensor(before).map_err(io::Error::other)?).ok_or_else(|| {
                        let what = format!("`{}` cannot become {}", after.name, after.tensor_type);
                        io::Error::new(io::ErrorKind::InvalidData, what)
                    })?
                }
            };
            self.put_aligned(out, data)?;
        }
        Ok(())
    }

    fn put_aligned(&self, out: &mut dyn Write, mut bytes: Vec<u8>) -> io::Result<()> {
        let alignment = usize::try_from(self.alignment).map_err(io::Error::other)?;
        bytes.resize(bytes.len().next_multiple_of(alignment), 0);
        out.write_all(&bytes)
    }
}

fn put_entry(out: &mut Vec<u8>, tensor: &TensorInfo) {
    out.extend((tensor.name.len() as u64).to_le_bytes());
    out.extend(tensor.name.as_bytes());
    #[expect(clippy::cast_possible_truncation, reason = "one to four")]
    out.extend((tensor.shape.len() as u32).to_le_bytes());
    out.extend(tensor.shape.iter().flat_map(|size| size.to_le_bytes()));
    out.extend(tensor.tensor_type.0.to_le_bytes());
    out.extend(tensor.offset.to_le_bytes());
}
