//! Reading a document: from a file or a pipe, as text in whatever encoding it is.

use std::fs;
use std::io::{self, IsTerminal, Read};
use std::path::Path;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_8};

use super::console::Console;
use super::exit::{Exit, Failure};

/// More than any context takes; a bound on memory, not on documents.
const LIMIT: u64 = 64 << 20;

/// Reads the document: a file, or standard input for `-` or where something is piped in.
pub(super) fn read(file: Option<&Path>, console: Console) -> Result<String, Failure> {
    let piped = |path: Option<&Path>| path.is_none_or(|path| path == Path::new("-"));
    let (name, bytes) = if piped(file) {
        if file.is_none() && io::stdin().is_terminal() {
            return Err(Failure::new(
                Exit::Usage,
                "no document: name a file, or pipe text in (`-` reads what you type)",
            ));
        }
        ("standard input".to_owned(), read_all(&mut io::stdin().lock(), "standard input")?)
    } else {
        let path = file.unwrap_or(Path::new("-"));
        let name = format!("`{}`", path.display());
        (name.clone(), read_file(path, &name)?)
    };
    let (text, encoding) = decode(&bytes).map_err(|problem| input(&format!("{name} {problem}")))?;
    if let Some(encoding) = encoding {
        console.note(&format!("{name} is not UTF-8; read as {encoding}"));
    }
    if text.trim().is_empty() {
        return Err(input(&format!("{name} is empty: there is nothing to work on")));
    }
    Ok(text)
}

fn input(message: &str) -> Failure {
    Failure::new(Exit::Input, message)
}

fn read_file(path: &Path, name: &str) -> Result<Vec<u8>, Failure> {
    if path.is_dir() {
        return Err(input(&format!("{name} is a folder; name a text file")));
    }
    let mut file = fs::File::open(path).map_err(|error| input(&format!("cannot read {name}: {error}")))?;
    read_all(&mut file, name)
}

fn read_all(source: &mut dyn Read, name: &str) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    source.take(LIMIT + 1).read_to_end(&mut bytes).map_err(|error| input(&format!("cannot read {name}: {error}")))?;
    if bytes.len() as u64 > LIMIT {
        return Err(input(&format!("{name} is larger than {} MiB", LIMIT >> 20)));
    }
    Ok(bytes)
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
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Allow);
    detector.feed(bytes, true);
    let encoding = detector.guess(None, Utf8Detection::Deny);
    let (text, _, _) = encoding.decode(bytes);
    Ok((no_nul(text.into_owned())?, Some(encoding.name())))
}

fn no_nul(text: String) -> Result<String, String> {
    if text.contains('\0') { Err("is binary data, not text".to_owned()) } else { Ok(text) }
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
    }
}
