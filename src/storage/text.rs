//! Text from outside made fit for SQL, CSV and JSON: no NUL, no control
//! characters, bounded. Pure; called on the writer thread.

use std::borrow::Cow;
use std::fmt::Write as _;

/// `text` with control characters, line and paragraph separators and what
/// overrides the writing direction escaped as `\n` or `\u{0}`, cut to `limit`
/// characters.
///
/// A NUL cuts a text off in the 2015 combine step, a line break breaks its
/// scripts (contract sections 3 and 6).
pub(crate) fn clean(text: &str, limit: usize) -> String {
    let mut clean = String::with_capacity(text.len().min(limit));
    for c in text.chars().take(limit) {
        if c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}') {
            // Writing to a String cannot fail.
            let _ = write!(clean, "{}", c.escape_default());
        } else {
            clean.push(c);
        }
    }
    clean
}

/// A text of several lines, such as JSON: every line [`clean`].
pub(crate) fn clean_lines(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(|line| clean(line, usize::MAX)).collect();
    lines.join("\n")
}

/// A field of the peer error file, which knows no quoting: [`clean`], with
/// commas and quotes replaced. One that needs none of it is not copied.
pub(crate) fn plain_field(text: Cow<'static, str>) -> Cow<'static, str> {
    let plain = |byte: u8| matches!(byte, b' '..=b'~') && byte != b',' && byte != b'"';
    if text.len() <= REASON_LIMIT && text.bytes().all(plain) {
        return text;
    }
    let clean = clean(&text, REASON_LIMIT).replace(',', ";");
    Cow::Owned(clean.replace('"', "'"))
}

/// Characters kept of a reason; the 2015 plots show 60.
pub(crate) const REASON_LIMIT: usize = 200;
/// Characters kept of a URL or path.
pub(crate) const URL_LIMIT: usize = 4096;
/// Characters kept of a name (city, client, torrent).
pub(crate) const NAME_LIMIT: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_dangerous_is_left() {
        assert_eq!(
            clean("a\0b\nc\r\u{7f}\u{85}\u{2028}\u{202e}é\u{200d}", 99),
            "a\\u{0}b\\nc\\r\\u{7f}\\u{85}\\u{2028}\\u{202e}é\u{200d}"
        );
        assert_eq!(clean("abc", 2), "ab");
        assert_eq!(plain_field("a,\"b\"\n".into()), "a;'b'\\n");
        assert_eq!(plain_field("é\u{202e}".into()), "é\\u{202e}");
        let long = "x".repeat(REASON_LIMIT + 1);
        assert_eq!(plain_field(long.into()).len(), REASON_LIMIT);
        let plain = plain_field("[Errno 111] Connection refused".into());
        assert!(matches!(plain, Cow::Borrowed(_)));
    }
}
