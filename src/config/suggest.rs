//! Guesses which key somebody meant.

use super::key::Key;
use super::key::quoted;
use super::keys;

/// Longest name for which a guess is tried.
const LENGTH_MAX: usize = 64;

/// The message for a name that no key has, with a guess where one is near.
pub(crate) fn unknown_key(name: &str) -> String {
    let shown = quoted(name);
    match near(name, keys::all().map(|key| key.name)).or_else(|| same_last_part(name)) {
        Some(guess) => match (guess.contains('.'), name.contains('.')) {
            (false, true) => format!(
                "unknown key {shown}; did you mean {guess}, which stands at top level, before the first [table]?"
            ),
            _ => format!("unknown key {shown}; did you mean {guess}?"),
        },
        None => format!("unknown key {shown}; `btda config --default` lists all keys"),
    }
}

/// The same for an environment variable.
pub(super) fn unknown_variable(name: &str) -> String {
    let variables: Vec<String> = keys::all().map(Key::variable).collect();
    match near(name, variables.iter().map(String::as_str)) {
        Some(guess) => format!("no such setting; did you mean {guess}?"),
        None => "no such setting; `btda config --default` lists all keys, of which \
                 retry.factor is BTDA_RETRY_FACTOR"
            .to_owned(),
    }
}

/// The nearest of `names`, if it is near enough to be a slip of the pen.
fn near<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > LENGTH_MAX {
        return None;
    }
    names
        .map(|candidate| (distance(name, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 6)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// A key in another table, or in none, with the same last part.
fn same_last_part(name: &str) -> Option<&'static str> {
    let last = name.rsplit('.').next()?;
    keys::all()
        .find(|key| key.path().1 == last)
        .map(|key| key.name)
}

/// Letters to insert, remove or change to make `b` of `a` (Levenshtein),
/// case and the difference of `-` and `_` aside.
fn distance(a: &str, b: &str) -> usize {
    let normal = |c: char| {
        if c == '-' {
            '_'
        } else {
            c.to_ascii_lowercase()
        }
    };
    let b: Vec<char> = b.chars().map(normal).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (done, letter) in a.chars().map(normal).enumerate() {
        let mut diagonal = done;
        let mut left = done + 1;
        for (cell, other) in row
            .iter_mut()
            .zip(std::iter::once(None).chain(b.iter().map(Some)))
        {
            let here = match other {
                None => left,
                Some(other) => (diagonal + usize::from(letter != *other))
                    .min(*cell + 1)
                    .min(left + 1),
            };
            diagonal = *cell;
            *cell = here;
            left = here;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (a, b, expected) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("kitten", "sitting", 3),
            ("same", "same", 0),
            ("a-b", "A_B", 0),
            ("flaw", "lawn", 2),
        ] {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
    }

    #[test]
    fn guesses() {
        for (written, meant) in [
            ("network_timout", "network_timeout"),
            ("retry.factr", "retry.factor"),
            ("retry.Factor", "retry.factor"),
            ("first_delay_seconds", "retry.first_delay_seconds"),
            (
                "visit.network_timeout",
                "network_timeout, which stands at top level",
            ),
        ] {
            let message = unknown_key(written);
            assert!(
                message.contains(&format!("did you mean {meant}")),
                "{message}"
            );
        }
        assert!(!unknown_key("colour").contains("did you mean"));
        assert!(unknown_variable("BTDA_NETWORK_TIMOUT").contains("BTDA_NETWORK_TIMEOUT?"));
    }
}
