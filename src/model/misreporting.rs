//! Known clients and ways of announcing pieces by which a count of pieces is
//! not what a peer has: the list of `misreporting.csv`, part of the program.
//! Pure.

/// One line of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Misreporting {
    /// Beginning of the peer id; empty for any client.
    pub prefix: &'static str,
    /// Name of the client.
    pub client: &'static str,
    /// What it does.
    pub behaviour: &'static str,
    /// What that does to a measurement.
    pub effect: &'static str,
    /// Where that is known from.
    pub source: &'static str,
}

impl Misreporting {
    /// Every line, in the order of the file.
    pub fn all() -> impl Iterator<Item = Self> {
        let lines = FILE.lines().filter(|line| !line.starts_with('#'));
        lines.skip(1).filter_map(Self::of)
    }

    fn of(line: &'static str) -> Option<Self> {
        let mut fields = line.split(';');
        let mut next = || fields.next();
        Some(Self {
            prefix: next()?,
            client: next()?,
            behaviour: next()?,
            effect: next()?,
            source: next()?,
        })
    }
}

const FILE: &str = include_str!("misreporting.csv");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_whole_and_names_its_source() {
        let lines: Vec<&str> = FILE.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(lines[0], "prefix;client;behaviour;effect;source");
        assert_eq!(Misreporting::all().count(), lines.len() - 1);
        for line in &lines[1..] {
            assert_eq!(line.split(';').count(), 5, "{line}");
        }
        for it in Misreporting::all() {
            assert!(it.prefix.is_empty() || it.prefix.len() == 3, "{it:?}");
            assert!(it.prefix.is_empty() || it.prefix.starts_with('-'), "{it:?}");
            for text in [it.client, it.behaviour, it.effect, it.source] {
                assert!(!text.is_empty() && text.trim() == text, "{it:?}");
            }
        }
    }
}
