//! What may reach a terminal: everything but what steers it.

/// Whether a character could steer a terminal or reorder what is read: C0 but tab and line feed, DEL, C1, and the
/// bidirectional overrides, embeddings and isolates.
#[must_use]
pub fn is_harmful(character: char) -> bool {
    match character {
        '\t' | '\n' => false,
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => true,
        other => other.is_control(),
    }
}

/// The text without harmful characters. Without its first character an escape sequence is plain text.
#[must_use]
pub fn sanitize(text: &str) -> String {
    text.chars().filter(|character| !is_harmful(*character)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sequences_lose_what_makes_them_sequences() {
        assert_eq!(sanitize("a\u{1b}[31mb\u{9b}31mc\u{7}\r\n\td"), "a[31mb31mc\n\td");
        assert_eq!(sanitize("\u{202e}evil\u{2069} 日本 é 👩‍🔬"), "evil 日本 é 👩‍🔬");
    }

    proptest! {
        #[test]
        fn nothing_harmful_is_left(text in any::<String>()) {
            let clean = sanitize(&text);
            prop_assert!(!clean.chars().any(is_harmful));
            prop_assert_eq!(sanitize(&clean), clean);
        }
    }
}
