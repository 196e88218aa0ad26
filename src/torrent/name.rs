//! Names that strangers gave to torrents and files, made fit for one line.

/// Longest name that is kept, in characters.
pub(super) const NAME_MAX: usize = 255;

/// The name without control characters, cut and trimmed; may be empty.
pub(super) fn clean(name: &str) -> String {
    let kept: String = name
        .chars()
        .filter(|c| !c.is_control())
        .take(NAME_MAX)
        .collect();
    kept.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_one_line() {
        assert_eq!(clean(" a\nb\u{9b}\0 c "), "ab c");
        assert_eq!(clean(&"\u{e9}".repeat(1_000)).chars().count(), NAME_MAX);
        assert_eq!(clean("\t \n"), "");
    }
}
