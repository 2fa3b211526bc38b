//! Documents: text in whatever encoding, from files and pipes; what is no text is named.

use std::fs;
use std::io::Read;
use std::path::Path;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_8};

/// The most bytes that are read: more than any context takes; a bound on memory, not on documents.
pub const LIMIT: u64 = 64 << 20;

const BINARY: &str = "is binary data, not text";

/// What was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// The text; never blank.
    pub text: String,
    /// The encoding's name, where it is not UTF-8.
    pub encoding: Option<&'static str>,
}

/// Why something is no document; `name` is how it is called in messages.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum DocumentError {
    #[error("cannot read {name}: {source}")]
    Read { name: String, source: std::io::Error },
    #[error("{name} is a folder; name a text file")]
    Folder { name: String },
    #[error("{name} is larger than {} MiB", LIMIT >> 20)]
    TooLarge { name: String },
    #[error("{name} {problem}")]
    NotText { name: String, problem: String },
    #[error("{name} is empty: there is nothing to work on")]
    Empty { name: String },
}

/// Reads a file.
pub fn open(path: &Path) -> Result<Text, DocumentError> {
    let name = format!("`{}`", path.display());
    if path.is_dir() {
        return Err(DocumentError::Folder { name });
    }
    let mut file = match fs::File::open(path) {
        Ok(file) => file,
        Err(source) => return Err(DocumentError::Read { name, source }),
    };
    read(&mut file, &name)
}

/// Reads what is called `name`, to its end.
pub fn read(source: &mut dyn Read, name: &str) -> Result<Text, DocumentError> {
    let name = name.to_owned();
    let mut bytes = Vec::new();
    if let Err(source) = source.take(LIMIT + 1).read_to_end(&mut bytes) {
        return Err(DocumentError::Read { name, source });
    }
    if bytes.len() as u64 > LIMIT {
        return Err(DocumentError::TooLarge { name });
    }
    match decode(&bytes) {
        Err(problem) => Err(DocumentError::NotText { name, problem }),
        Ok((text, _)) if text.trim().is_empty() => Err(DocumentError::Empty { name }),
        Ok((text, encoding)) => Ok(Text { text, encoding }),
    }
}

/// The text, with the name of its encoding where it is not UTF-8; or what is wrong with it.
fn decode(bytes: &[u8]) -> Result<(String, Option<&'static str>), String> {
    if let Some((encoding, mark)) = Encoding::for_bom(bytes) {
        let (text, _) = encoding.decode_without_bom_handling(&bytes[mark..]);
        let text = no_nul(text.into_owned())?;
        return Ok((text, (encoding != UTF_8).then_some(encoding.name())));
    }
    if let Some(kind) = binary_kind(bytes) {
        return Err(format!("is {kind}, not text"));
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Ok((no_nul(text.to_owned())?, None));
    }
    // A detector finds an encoding in noise too; but a tenth of noise is control characters, and text has next to none.
    let controls = bytes.iter().filter(|byte| **byte < b' ' && !b"\t\n\r\x08\x0c\x1a\x1b".contains(byte)).count();
    if controls * 100 > bytes.len() {
        return Err(BINARY.to_owned());
    }
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Allow);
    detector.feed(bytes, true);
    let encoding = detector.guess(None, Utf8Detection::Deny);
    let (text, _, _) = encoding.decode(bytes);
    Ok((no_nul(text.into_owned())?, Some(encoding.name())))
}

fn no_nul(text: String) -> Result<String, String> {
    if text.contains('\0') { Err(BINARY.to_owned()) } else { Ok(text) }
}

/// What a file that is no text is, with the way to text where there is a usual one.
fn binary_kind(bytes: &[u8]) -> Option<&'static str> {
    const KNOWN: [(&[u8], &str); 9] = [
        (b"%PDF-", "a PDF (`pdftotext FILE - | nfold …` reads it)"),
        (b"PK\x03\x04", "a zip archive (for a .docx: `pandoc -t plain FILE | nfold …`)"),
        (b"GGUF", "a GGUF model or adapter"),
        (b"\x7fELF", "a program"),
        (b"\x1f\x8b", "gzip data"),
        (b"\x89PNG", "a picture"),
        (b"\xff\xd8\xff", "a picture"),
        (b"GIF8", "a picture"),
        (b"\xd0\xcf\x11\xe0", "an old Office file (`antiword FILE | nfold …` reads a .doc)"),
    ];
    let known = KNOWN.iter().find(|(magic, _)| bytes.starts_with(magic)).map(|(_, kind)| *kind);
    known.or_else(|| bytes.iter().take(1 << 16).any(|byte| *byte == 0).then_some("binary data"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(bytes: &[u8]) -> (String, Option<&'static str>) {
        decode(bytes).unwrap()
    }

    #[test]
    fn encodings_are_recognised() {
        assert_eq!(decoded("naïve — 日本".as_bytes()), ("naïve — 日本".to_owned(), None));
        assert_eq!(decoded(b"\xef\xbb\xbfabc"), ("abc".to_owned(), None));
        assert_eq!(decoded(b"\xff\xfea\0b\0"), ("ab".to_owned(), Some("UTF-16LE")));
        let (text, encoding) = decoded(b"El ni\xf1o comi\xf3 una manzana en la monta\xf1a con su se\xf1ora.");
        assert_eq!(text, "El niño comió una manzana en la montaña con su señora.");
        assert_eq!(encoding, Some("windows-1252"));
    }

    #[test]
    fn what_is_no_text_is_named() {
        assert!(decode(b"%PDF-1.7 ...").unwrap_err().contains("pdftotext"));
        assert!(decode(b"abc\0def").unwrap_err().contains("binary data"));
        let scrambled: Vec<u8> = (1..=255).collect();
        assert!(decode(&scrambled).unwrap_err().contains("binary data"));
        assert!(decode(b"El ni\xf1o comi\xf3 una manzana en la monta\xf1a.\x1a").is_ok());
    }
}
