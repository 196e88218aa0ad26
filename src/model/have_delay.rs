//! How long known clients take to tell a piece that they have: the list of
//! `have_delay.csv`, part of the program. Pure.

use std::time::Duration;

use super::PeerId;

/// One line of the list.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HaveDelay {
    /// Beginning of the peer id.
    pub prefix: &'static str,
    /// Name of the client.
    pub client: &'static str,
    /// Seconds from the piece to its `have`, at most.
    pub seconds: f64,
    /// Where that is known from.
    pub source: &'static str,
}

impl HaveDelay {
    /// Every line, in the order of the file.
    pub fn all() -> impl Iterator<Item = Self> {
        let lines = FILE.lines().filter(|line| !line.starts_with('#'));
        lines.skip(1).filter_map(Self::parse)
    }

    /// That of the client that names itself `peer_id`; `None` when it is not in
    /// the list.
    pub fn of(peer_id: &PeerId) -> Option<Duration> {
        let known = |it: &Self| peer_id.as_bytes().starts_with(it.prefix.as_bytes());
        let seconds = Self::all().find(known)?.seconds;
        Duration::try_from_secs_f64(seconds).ok()
    }

    fn parse(line: &'static str) -> Option<Self> {
        let mut fields = line.split(';');
        let mut next = || fields.next();
        Some(Self {
            prefix: next()?,
            client: next()?,
            seconds: next()?.parse().ok()?,
            source: next()?,
        })
    }
}

const FILE: &str = include_str!("have_delay.csv");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_whole_and_names_its_source() {
        let lines: Vec<&str> = FILE.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(lines[0], "prefix;client;seconds;source");
        assert_eq!(HaveDelay::all().count(), lines.len() - 1);
        for (line, it) in lines[1..].iter().zip(HaveDelay::all()) {
            assert_eq!(line.split(';').count(), 4, "{line}");
            assert!(it.prefix.len() == 3 && it.prefix.starts_with('-'), "{it:?}");
            assert!((0.0..=300.0).contains(&it.seconds), "{it:?}");
            for text in [it.client, it.source] {
                assert!(!text.is_empty() && text.trim() == text, "{it:?}");
            }
        }
    }

    #[test]
    fn a_client_is_known_by_the_beginning_of_its_peer_id() {
        let of = |id: &[u8; 20]| HaveDelay::of(&PeerId::new(*id));
        assert_eq!(of(b"-TR3000-abcdefghijkl"), Some(Duration::from_secs(11)));
        assert_eq!(of(b"-lt0D60-abcdefghijkl"), Some(Duration::from_secs(120)));
        assert_eq!(of(b"-LT20B0-abcdefghijkl"), Some(Duration::from_secs(1)));
        assert_eq!(of(b"-XX0000-abcdefghijkl"), None);
        assert_eq!(of(b"TR3000--abcdefghijkl"), None);
    }
}
