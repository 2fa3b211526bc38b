//! Reading a document for a command: from a file or a pipe.

use std::io::{self, IsTerminal};
use std::path::Path;

use crate::document::{self, DocumentError};

use super::console::Console;
use super::exit::{Exit, Failure};

/// Reads the document: a file, or standard input for `-` or where something is piped in.
pub(super) fn read(file: Option<&Path>, console: Console) -> Result<String, Failure> {
    let (name, read) = match file.filter(|path| *path != Path::new("-")) {
        Some(path) => (format!("`{}`", path.display()), document::open(path)?),
        None if file.is_none() && io::stdin().is_terminal() => {
            return Err(Failure::new(
                Exit::Usage,
                "no document: name a file, or pipe text in (`-` reads what you type)",
            ));
        }
        None => ("standard input".to_owned(), document::read(&mut io::stdin().lock(), "standard input")?),
    };
    if let Some(encoding) = read.encoding {
        console.note(&format!("{name} is not UTF-8; read as {encoding}"));
    }
    Ok(read.text)
}

impl From<DocumentError> for Failure {
    fn from(error: DocumentError) -> Self {
        Self::new(Exit::Input, error)
    }
}
