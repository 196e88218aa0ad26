//! Makes text from outside fit for logs and files.
//!
//! Pure; called wherever a tracker, a peer, a torrent file or the name of one
//! has its say in one of our lines.

/// Characters kept at most; what is longer ends in `…`.
pub const OUTSIDE_TEXT_MAX: usize = 200;

/// `bytes` as one harmless line: valid UTF-8 without control characters, line
/// separators and characters that turn the writing direction (all escaped),
/// at most [`OUTSIDE_TEXT_MAX`] characters and a `…`, and the words `ERROR`
/// and `CRITICAL` in lower case, since a log is searched for them.
///
/// ```
/// use btda::outside::outside_text;
/// assert_eq!(outside_text(b"ERROR: go\naway \xff"), "error: go\\naway \u{fffd}");
/// ```
pub fn outside_text(bytes: &[u8]) -> String {
    let kept = bytes.get(..4 * OUTSIDE_TEXT_MAX + 4).unwrap_or(bytes);
    let mut text = String::new();
    let mut length = 0;
    for character in String::from_utf8_lossy(kept).trim().chars() {
        let start = text.len();
        push_harmless(character, &mut text);
        length += text[start..].chars().count();
        if length > OUTSIDE_TEXT_MAX {
            text.truncate(start);
            text.push('…');
            break;
        }
    }
    text.replace("ERROR", "error")
        .replace("CRITICAL", "critical")
}

/// `text` as one line that a terminal only shows, however long: what
/// [`outside_text`] escapes is escaped. For messages that hold names of files.
///
/// ```
/// use btda::outside::one_line;
/// assert_eq!(one_line("a\x1b[2J\nb.torrent"), "a\\u{1b}[2J\\nb.torrent");
/// ```
pub fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for character in text.chars() {
        push_harmless(character, &mut line);
    }
    line
}

fn push_harmless(character: char, text: &mut String) {
    if is_harmful(character) {
        text.extend(character.escape_default());
    } else {
        text.push(character);
    }
}

fn is_harmful(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn long_text_is_cut_at_a_character() {
        let text = outside_text("ä".repeat(500).as_bytes());
        assert_eq!(text.chars().count(), OUTSIDE_TEXT_MAX + 1);
        assert!(text.ends_with('…'));
        let exact = "b".repeat(OUTSIDE_TEXT_MAX);
        assert_eq!(outside_text(exact.as_bytes()), exact);
    }

    #[test]
    fn controls_and_direction_marks_are_escaped() {
        assert_eq!(
            outside_text("a\0b\x1b[31m\u{202e}c\u{2028}d".as_bytes()),
            "a\\u{0}b\\u{1b}[31m\\u{202e}c\\u{2028}d"
        );
        assert_eq!(outside_text(b"a CRITICAL ERROR"), "a critical error");
        assert_eq!(outside_text(b""), "");
    }

    proptest! {
        #[test]
        fn always_one_short_line(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
            let text = outside_text(&bytes);
            prop_assert!(text.chars().count() <= OUTSIDE_TEXT_MAX + 1);
            prop_assert!(!text.chars().any(char::is_control));
            prop_assert!(!text.contains("ERROR") && !text.contains("CRITICAL"));
        }
    }
}
