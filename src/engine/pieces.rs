//! From tokens' bytes to whole characters: a character may be split over several tokens.

/// Holds back the bytes of a character until it is whole.
#[derive(Debug, Default)]
pub struct Pieces {
    held: Vec<u8>,
}

impl Pieces {
    /// Adds a token's bytes and returns the text that is now whole. Bytes that can never become a character become U+FFFD.
    pub fn push(&mut self, bytes: &[u8]) -> String {
        self.held.extend_from_slice(bytes);
        let mut text = String::new();
        loop {
            match std::str::from_utf8(&self.held) {
                Ok(rest) => {
                    text.push_str(rest);
                    self.held.clear();
                    return text;
                }
                Err(error) => {
                    let whole: Vec<u8> = self.held.drain(..error.valid_up_to()).collect();
                    text.push_str(&String::from_utf8_lossy(&whole));
                    let Some(bad) = error.error_len() else {
                        return text;
                    };
                    self.held.drain(..bad);
                    text.push(char::REPLACEMENT_CHARACTER);
                }
            }
        }
    }

    /// What is left at the end: U+FFFD where a character was never finished.
    pub fn finish(&mut self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut self.held)).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_split_character_waits_and_bad_bytes_are_replaced() {
        let mut pieces = Pieces::default();
        let euro = "€".as_bytes();
        assert_eq!(pieces.push(&euro[..2]), "");
        assert_eq!(pieces.push(&euro[2..]), "€");
        assert_eq!(pieces.push(b"a\xffb"), "a\u{fffd}b");
        assert_eq!(pieces.push(&euro[..1]), "");
        assert_eq!(pieces.finish(), "\u{fffd}");
    }

    proptest! {
        #[test]
        fn any_cutting_gives_the_same_text(text in ".{0,40}", cuts in proptest::collection::vec(1usize..5, 0..60)) {
            let mut pieces = Pieces::default();
            let (mut rest, mut joined) = (text.as_bytes(), String::new());
            for cut in cuts {
                let (head, tail) = rest.split_at(cut.min(rest.len()));
                joined.push_str(&pieces.push(head));
                rest = tail;
            }
            joined.push_str(&pieces.push(rest));
            joined.push_str(&pieces.finish());
            prop_assert_eq!(joined, text);
        }
    }
}
