//! Languages: codes and names to the English name that stands in an instruction.

use std::sync::Arc;

use crate::suggest::nearest;

/// ISO 639-1 code, ISO 639-2 code, English name.
const KNOWN: [(&str, &str, &str); 40] = [
    ("ar", "ara", "Arabic"),
    ("bg", "bul", "Bulgarian"),
    ("bn", "ben", "Bengali"),
    ("ca", "cat", "Catalan"),
    ("cs", "ces", "Czech"),
    ("da", "dan", "Danish"),
    ("de", "deu", "German"),
    ("el", "ell", "Greek"),
    ("en", "eng", "English"),
    ("es", "spa", "Spanish"),
    ("et", "est", "Estonian"),
    ("fa", "fas", "Persian"),
    ("fi", "fin", "Finnish"),
    ("fr", "fra", "French"),
    ("ga", "gle", "Irish"),
    ("he", "heb", "Hebrew"),
    ("hi", "hin", "Hindi"),
    ("hr", "hrv", "Croatian"),
    ("hu", "hun", "Hungarian"),
    ("id", "ind", "Indonesian"),
    ("it", "ita", "Italian"),
    ("ja", "jpn", "Japanese"),
    ("ko", "kor", "Korean"),
    ("lt", "lit", "Lithuanian"),
    ("lv", "lav", "Latvian"),
    ("nl", "nld", "Dutch"),
    ("no", "nor", "Norwegian"),
    ("pl", "pol", "Polish"),
    ("pt", "por", "Portuguese"),
    ("ro", "ron", "Romanian"),
    ("ru", "rus", "Russian"),
    ("sk", "slk", "Slovak"),
    ("sl", "slv", "Slovenian"),
    ("sv", "swe", "Swedish"),
    ("sw", "swa", "Swahili"),
    ("th", "tha", "Thai"),
    ("tr", "tur", "Turkish"),
    ("uk", "ukr", "Ukrainian"),
    ("vi", "vie", "Vietnamese"),
    ("zh", "zho", "Chinese"),
];

/// A language of the output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Language {
    code: Arc<str>,
    name: Arc<str>,
}

impl Language {
    /// From a code (`es`, `spa`, `es-ES`) or an English name. A name that is not in the table is taken as it is, for models
    /// that know it; a short text that is no code is an error, with the nearest name or code.
    pub(super) fn parse(text: &str) -> Result<Self, Option<&'static str>> {
        let text = text.trim().to_lowercase();
        let code = text.split(['-', '_']).next().unwrap_or_default();
        let known =
            KNOWN.iter().find(|(two, three, name)| [*two, *three].contains(&code) || name.eq_ignore_ascii_case(&text));
        if let Some((two, _, name)) = known {
            return Ok(Self { code: (*two).into(), name: (*name).into() });
        }
        let words = || KNOWN.iter().flat_map(|known| [known.0, known.2]);
        let close = nearest(&text, words()).and_then(|word| words().find(|known| *known == word));
        let is_name = text.chars().count() > 3 && text.chars().all(|c| c.is_alphabetic() || c == ' ');
        if !is_name || close.is_some() {
            return Err(close);
        }
        let mut letters = text.chars();
        let first: String = letters.next().map(|c| c.to_uppercase().collect()).unwrap_or_default();
        let name = first + letters.as_str();
        Ok(Self { code: text.into(), name: name.into() })
    }

    /// The code in task names: `es`.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.code
    }

    /// The English name: `Spanish`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_names_and_regions_are_one_language() {
        for text in ["es", "spa", "Spanish", "es-ES", "es_MX"] {
            assert_eq!(Language::parse(text).unwrap().code(), "es", "{text}");
        }
        assert_eq!(Language::parse("esperanto").unwrap().name(), "Esperanto");
        assert_eq!(Language::parse("xx"), Err(None));
        assert_eq!(Language::parse("Spansh"), Err(Some("Spanish")));
    }
}
