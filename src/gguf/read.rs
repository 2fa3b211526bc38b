//! Reading GGUF: the header whole and checked, tensor data one tensor at a time.

use std::collections::HashSet;
use std::fs;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::{ALIGNMENT, ALIGNMENT_KEY, MAGIC, MAX_TENSOR_NAME, TensorInfo, TensorType, VERSION, Value};

/// The longest metadata key the format allows, in bytes.
const MAX_KEY: u64 = 65_535;

/// The most dimensions ggml has.
const MAX_DIMENSIONS: u32 = 4;

/// Why a file is not a GGUF file that can be used. Each message names the file.
#[derive(Debug, thiserror::Error)]
#[error("`{path}` {problem}", path = path.display())]
pub struct ReadError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a file, worded to follow its name.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error("is not a GGUF file (it starts with {0:02x?}, not with `GGUF`)")]
    Magic([u8; 4]),
    #[error("is in GGUF version {0}; versions 2 and 3 can be read")]
    Version(u32),
    #[error("is in big-endian GGUF, which cannot be read here")]
    BigEndian,
    #[error("is cut off: {what} takes {needs} bytes at byte {at}, and {left} are left")]
    CutOff { what: String, needs: u64, at: u64, left: u64 },
    #[error("claims {claimed} {what}, more than its size allows")]
    TooMany { what: &'static str, claimed: u64 },
    #[error("has metadata key `{0}` of unknown type {1}")]
    ValueType(String, u32),
    #[error("has metadata key `{0}` twice")]
    DuplicateKey(String),
    #[error("holds text that is not UTF-8 in {0}")]
    Utf8(String),
    #[error("asks for alignment {0}, which is not a power of two between 1 and 1048576")]
    Alignment(u64),
    #[error("has tensor `{0}` twice")]
    DuplicateTensor(String),
    #[error("has a tensor name of {0} bytes; ggml takes at most 63")]
    TensorName(u64),
    #[error("has tensor `{name}` with {dimensions} dimensions; 1 to 4 are possible")]
    Dimensions { name: String, dimensions: u32 },
    #[error("has tensor `{name}` of impossible shape {shape:?}")]
    Shape { name: String, shape: Vec<u64> },
    #[error("has tensor `{name}` at offset {found}, where the data before it ends at {expected}")]
    Offset { name: String, found: u64, expected: u64 },
    #[error("is cut off in tensor `{name}`: its data ends at byte {needs}, the file at {has}")]
    Data { name: String, needs: u64, has: u64 },
    #[error("stores tensor `{name}` as {found}; F32, F16, BF16, Q4_1 and Q8_0 can be read")]
    Unreadable { name: String, found: TensorType },
}

/// An open GGUF file whose header has been read and checked.
#[derive(Debug)]
pub struct File {
    path: PathBuf,
    pub(super) reader: BufReader<fs::File>,
    /// Where the tensors' entries begin.
    pub(super) entries: u64,
    /// Where their data begins.
    data: u64,
    pub(super) alignment: u64,
    metadata: Vec<(String, Value)>,
    pub(super) tensors: Vec<TensorInfo>,
}

impl File {
    /// Opens `path` and reads its header.
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        Self::try_open(path).map_err(|problem| ReadError { path: path.to_path_buf(), problem })
    }

    fn try_open(path: &Path) -> Result<Self, Problem> {
        let file = fs::File::open(path)?;
        let about = file.metadata()?;
        if about.is_dir() {
            return Err(io::Error::from(io::ErrorKind::IsADirectory).into());
        }
        let size = about.len();
        let mut source = Source { reader: BufReader::with_capacity(1 << 16, file), at: 0, size };
        let (tensor_count, entry_count) = read_preamble(&mut source)?;
        let metadata = read_metadata(&mut source, entry_count)?;
        let alignment = alignment(&metadata)?;
        let entries = source.at;
        let mut tensors = Vec::new();
        let mut names = HashSet::new();
        for _ in 0..tensor_count {
            let tensor = read_tensor_info(&mut source)?;
            if !names.insert(tensor.name.clone()) {
                return Err(Problem::DuplicateTensor(tensor.name));
            }
            tensors.push(tensor);
        }
        let data = source.at.next_multiple_of(alignment);
        check_layout(&tensors, data, alignment, size)?;
        let reader = source.reader;
        Ok(Self { path: path.to_path_buf(), reader, entries, data, alignment, metadata, tensors })
    }

    /// The file's path, as it was opened.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All metadata, in the file's order.
    #[must_use]
    pub fn metadata(&self) -> &[(String, Value)] {
        &self.metadata
    }

    /// The value of a metadata key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.metadata.iter().find(|entry| entry.0 == key).map(|entry| &entry.1)
    }

    /// All tensors' entries, in the file's order.
    #[must_use]
    pub fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }

    /// Reads one tensor's numbers as `f32`, in the file's order.
    pub fn read_tensor(&mut self, tensor: &TensorInfo) -> Result<Vec<f32>, ReadError> {
        self.try_read_tensor(tensor).map_err(|problem| ReadError { path: self.path.clone(), problem })
    }

    /// Reads one tensor's bytes as they are stored.
    pub fn read_bytes(&mut self, tensor: &TensorInfo) -> Result<Vec<u8>, ReadError> {
        self.try_read_bytes(tensor).map_err(|problem| ReadError { path: self.path.clone(), problem })
    }

    fn try_read_tensor(&mut self, tensor: &TensorInfo) -> Result<Vec<f32>, Problem> {
        match tensor.tensor_type.is_readable() {
            true => Ok(tensor.tensor_type.decode(&self.try_read_bytes(tensor)?)),
            false => Err(Problem::Unreadable { name: tensor.name.clone(), found: tensor.tensor_type }),
        }
    }

    fn try_read_bytes(&mut self, tensor: &TensorInfo) -> Result<Vec<u8>, Problem> {
        let unreadable = || Problem::Unreadable { name: tensor.name.clone(), found: tensor.tensor_type };
        // The size was checked against the file's length when the header was read.
        let bytes = tensor.bytes().and_then(|bytes| usize::try_from(bytes).ok()).ok_or_else(unreadable)?;
        self.reader.seek(SeekFrom::Start(self.data + tensor.offset))?;
        let mut raw = vec![0; bytes];
        self.reader.read_exact(&mut raw)?;
        Ok(raw)
    }
}

/// A file read front to back that knows how much of it is left.
struct Source {
    reader: BufReader<fs::File>,
    at: u64,
    size: u64,
}

impl Source {
    fn left(&self) -> u64 {
        self.size.saturating_sub(self.at)
    }

    fn need(&self, needs: u64, what: &str) -> Result<(), Problem> {
        if needs > self.left() {
            return Err(Problem::CutOff { what: what.to_owned(), needs, at: self.at, left: self.left() });
        }
        Ok(())
    }

    fn bytes<const N: usize>(&mut self, what: &str) -> Result<[u8; N], Problem> {
        self.need(N as u64, what)?;
        let mut raw = [0; N];
        self.reader.read_exact(&mut raw)?;
        self.at += N as u64;
        Ok(raw)
    }

    fn u32(&mut self, what: &str) -> Result<u32, Problem> {
        self.bytes(what).map(u32::from_le_bytes)
    }

    fn u64(&mut self, what: &str) -> Result<u64, Problem> {
        self.bytes(what).map(u64::from_le_bytes)
    }

    fn skip(&mut self, count: u64, what: &str) -> Result<(), Problem> {
        self.need(count, what)?;
        self.reader.seek_relative(i64::try_from(count).map_err(io::Error::other)?)?;
        self.at += count;
        Ok(())
    }

    fn text(&mut self, what: &str) -> Result<String, Problem> {
        let length = self.u64(what)?;
        self.need(length, what)?;
        let mut raw = vec![0; usize::try_from(length).map_err(io::Error::other)?];
        self.reader.read_exact(&mut raw)?;
        self.at += length;
        String::from_utf8(raw).map_err(|_| Problem::Utf8(what.to_owned()))
    }
}

/// Reads magic, version and counts; gives the number of tensors and of metadata entries.
fn read_preamble(source: &mut Source) -> Result<(u64, u64), Problem> {
    let magic = source.bytes("the magic number")?;
    if magic != MAGIC {
        return Err(Problem::Magic(magic));
    }
    let version = source.u32("the version")?;
    if (2..=VERSION).contains(&version.swap_bytes()) {
        return Err(Problem::BigEndian);
    }
    if !(2..=VERSION).contains(&version) {
        return Err(Problem::Version(version));
    }
    let tensors = source.u64("the tensor count")?;
    let entries = source.u64("the metadata count")?;
    // The smallest entry is a length, a type and one byte; the smallest tensor a length, a count, a size, a type and an offset.
    if entries > source.left() / 13 {
        return Err(Problem::TooMany { what: "metadata entries", claimed: entries });
    }
    if tensors > source.left() / 32 {
        return Err(Problem::TooMany { what: "tensors", claimed: tensors });
    }
    Ok((tensors, entries))
}

fn read_metadata(source: &mut Source, count: u64) -> Result<Vec<(String, Value)>, Problem> {
    let mut metadata = Vec::new();
    let mut keys = HashSet::new();
    for _ in 0..count {
        let key = source.text("a metadata key")?;
        if key.len() as u64 > MAX_KEY {
            return Err(Problem::TooMany { what: "bytes in a metadata key", claimed: key.len() as u64 });
        }
        if !keys.insert(key.clone()) {
            return Err(Problem::DuplicateKey(key));
        }
        let kind = source.u32(&key)?;
        let value = read_value(source, &key, kind)?;
        metadata.push((key, value));
    }
    Ok(metadata)
}

fn read_value(source: &mut Source, key: &str, kind: u32) -> Result<Value, Problem> {
    Ok(match kind {
        0 => Value::Integer(u8::from_le_bytes(source.bytes(key)?).into()),
        1 => Value::Integer(i8::from_le_bytes(source.bytes(key)?).into()),
        2 => Value::Integer(u16::from_le_bytes(source.bytes(key)?).into()),
        3 => Value::Integer(i16::from_le_bytes(source.bytes(key)?).into()),
        4 => Value::Integer(source.u32(key)?.into()),
        5 => Value::Integer(i32::from_le_bytes(source.bytes(key)?).into()),
        6 => Value::F32(f32::from_le_bytes(source.bytes(key)?)),
        7 => Value::Bool(source.bytes::<1>(key)? != [0]),
        8 => Value::String(source.text(key)?),
        9 => read_array(source, key)?,
        10 => Value::Integer(source.u64(key)?.into()),
        11 => Value::Integer(i64::from_le_bytes(source.bytes(key)?).into()),
        12 => Value::F64(f64::from_le_bytes(source.bytes(key)?)),
        _ => return Err(Problem::ValueType(key.to_owned(), kind)),
    })
}

fn read_array(source: &mut Source, key: &str) -> Result<Value, Problem> {
    let kind = source.u32(key)?;
    let len = source.u64(key)?;
    let size = match kind {
        0 | 1 | 7 => 1,
        2 | 3 => 2,
        4..=6 => 4,
        10..=12 => 8,
        8 => {
            for _ in 0..len {
                let length = source.u64(key)?;
                source.skip(length, key)?;
            }
            return Ok(Value::Array { len });
        }
        _ => return Err(Problem::ValueType(key.to_owned(), kind)),
    };
    let bytes = len.checked_mul(size).ok_or(Problem::TooMany { what: "elements in an array", claimed: len })?;
    source.skip(bytes, key)?;
    Ok(Value::Array { len })
}

fn read_tensor_info(source: &mut Source) -> Result<TensorInfo, Problem> {
    let name = source.text("a tensor name")?;
    if name.len() > MAX_TENSOR_NAME {
        return Err(Problem::TensorName(name.len() as u64));
    }
    let dimensions = source.u32(&name)?;
    if !(1..=MAX_DIMENSIONS).contains(&dimensions) {
        return Err(Problem::Dimensions { name, dimensions });
    }
    let shape = (0..dimensions).map(|_| source.u64(&name)).collect::<Result<Vec<_>, _>>()?;
    let tensor_type = TensorType(source.u32(&name)?);
    let offset = source.u64(&name)?;
    let tensor = TensorInfo { name, shape, tensor_type, offset };
    let impossible = tensor.shape.contains(&0)
        || tensor.elements().is_none()
        || (tensor.bytes().is_none() && tensor_type.block().is_some());
    if impossible {
        return Err(Problem::Shape { name: tensor.name, shape: tensor.shape });
    }
    Ok(tensor)
}

fn alignment(metadata: &[(String, Value)]) -> Result<u64, Problem> {
    let Some((_, value)) = metadata.iter().find(|entry| entry.0 == ALIGNMENT_KEY) else {
        return Ok(ALIGNMENT);
    };
    let alignment = value.as_u64().unwrap_or(0);
    if !alignment.is_power_of_two() || alignment > 1 << 20 {
        return Err(Problem::Alignment(alignment));
    }
    Ok(alignment)
}

/// Checks that tensors lie one behind the other, as ggml demands, and end within the file.
fn check_layout(tensors: &[TensorInfo], data: u64, alignment: u64, size: u64) -> Result<(), Problem> {
    let mut expected = 0u64;
    for tensor in tensors {
        let name = || tensor.name.clone();
        if tensor.offset != expected {
            return Err(Problem::Offset { name: name(), found: tensor.offset, expected });
        }
        let Some(bytes) = tensor.bytes() else {
            return Ok(()); // a type newer than this table: llama.cpp checks the rest
        };
        let end = data.checked_add(tensor.offset).and_then(|start| start.checked_add(bytes));
        match end {
            Some(end) if end <= size => expected = (tensor.offset + bytes).next_multiple_of(alignment),
            _ => {
                return Err(Problem::Data { name: name(), needs: end.unwrap_or(u64::MAX), has: size });
            }
        }
    }
    Ok(())
}
