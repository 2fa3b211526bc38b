//! Which language an output is in.

use whichlang::{Lang, detect_language};

/// Whether a text is in the language of this code; `None` where the detector does not know the language or the text is
/// too short to tell.
#[must_use]
pub fn is_in(text: &str, code: &str) -> Option<bool> {
    let known = [
        ("ar", Lang::Ara),
        ("de", Lang::Deu),
        ("en", Lang::Eng),
        ("es", Lang::Spa),
        ("fr", Lang::Fra),
        ("hi", Lang::Hin),
        ("it", Lang::Ita),
        ("ja", Lang::Jpn),
        ("ko", Lang::Kor),
        ("nl", Lang::Nld),
        ("pt", Lang::Por),
        ("ru", Lang::Rus),
        ("sv", Lang::Swe),
        ("tr", Lang::Tur),
        ("vi", Lang::Vie),
        ("zh", Lang::Cmn),
    ];
    let (_, wanted) = known.into_iter().find(|known| known.0 == code)?;
    if text.split_whitespace().count() < 3 {
        return None;
    }
    Some(detect_language(text) == wanted)
}

#[cfg(test)]
mod tests {
    use super::is_in;

    #[test]
    fn tells_the_languages_of_the_default_set() {
        let texts = [
            ("en", "The release is planned for the twelfth, and Noor writes the advisory."),
            ("es", "La publicación se prevé para el día doce y Noor redacta el aviso."),
            ("fr", "La publication est prévue pour le douze et Noor rédige l'avis."),
            ("de", "Die Veröffentlichung ist für den Zwölften geplant, und Noor schreibt die Meldung."),
        ];
        for (code, text) in texts {
            for (other, _) in texts {
                assert_eq!(is_in(text, other), Some(other == code), "{text} {other}");
            }
        }
        assert_eq!(is_in("hm", "en"), None);
        assert_eq!(is_in("Ñamandu ha tupã oiko", "gn"), None);
    }
}
