//! Frames: four bytes of length, little-endian, and as many bytes of JSON.

use std::io::{self, Read, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The longest frame: a document of the largest size that is read, every byte of it escaped.
pub const LONGEST: usize = 400 << 20;

/// A message as a frame.
pub fn encode(message: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; 4];
    serde_json::to_writer(&mut bytes, message)?;
    let length = u32::try_from(bytes.len() - 4).ok().filter(|length| *length as usize <= LONGEST);
    let length = length.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "a message is too long"))?;
    bytes[..4].copy_from_slice(&length.to_le_bytes());
    Ok(bytes)
}

/// A frame's length from its first four bytes, checked before anything is allocated.
pub fn length(head: [u8; 4]) -> io::Result<usize> {
    let length = u32::from_le_bytes(head) as usize;
    match length <= LONGEST {
        true => Ok(length),
        false => Err(io::Error::new(io::ErrorKind::InvalidData, format!("a frame of {length} bytes"))),
    }
}

/// What a frame holds.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> io::Result<T> {
    Ok(serde_json::from_slice(bytes)?)
}

/// The next message; `None` at the end.
pub fn read<T: DeserializeOwned>(source: &mut dyn Read) -> io::Result<Option<T>> {
    let mut head = [0; 4];
    match source.read_exact(&mut head) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let mut bytes = vec![0; length(head)?];
    source.read_exact(&mut bytes)?;
    decode(&bytes).map(Some)
}

/// Writes a message.
pub fn write(target: &mut dyn Write, message: &impl Serialize) -> io::Result<()> {
    target.write_all(&encode(message)?)?;
    target.flush()
}
