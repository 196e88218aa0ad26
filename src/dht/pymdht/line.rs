//! The lines of pymdht's telnet control port: bytes to values and back.
//!
//! Pure. A node answers `0 OPEN <channel>`, `0 PEER <address>:<port>` and
//! `0 CLOSE`, where 0 is the number that we gave the lookup, and `? <text>`
//! when it does not like a line. Upper and lower case are the same, lines end
//! in CRLF or LF and may be cut anywhere.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

use crate::model::{InfoHash, PeerAddress};
use crate::outside::outside_text;

/// Longest line that is read, in bytes; a longer one is skipped and counts as
/// one [`Line::Unreadable`].
pub const LINE_MAX: usize = 256;

/// The number that we give every lookup, as in 2015: only one runs at a time.
pub const OUR_CHANNEL: u32 = 0;

/// Ends the connection, and with it the node's care for this client.
pub const EXIT: &[u8] = b"EXIT\r\n";

/// One line of the node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// The lookup has begun; `theirs` is the number that ends it early.
    Open {
        /// Our number of the lookup.
        ours: u32,
        /// The node's number of it.
        theirs: u32,
    },
    /// A peer was found.
    Peer {
        /// Our number of the lookup.
        ours: u32,
        /// The peer.
        address: PeerAddress,
    },
    /// The lookup is over.
    Close {
        /// Our number of the lookup.
        ours: u32,
    },
    /// `?`: the node refuses what was asked; the text is harmless to log.
    Refusal(String),
    /// Anything else.
    Unreadable,
}

impl Line {
    /// Reads one line without its end.
    ///
    /// ```
    /// use btda::dht::pymdht::line::Line;
    /// assert_eq!(Line::parse(b"0 open 7"), Line::Open { ours: 0, theirs: 7 });
    /// assert_eq!(Line::parse(b"0 PEER 192.0.2.1"), Line::Unreadable);
    /// ```
    pub fn parse(line: &[u8]) -> Self {
        let Ok(text) = std::str::from_utf8(line) else {
            return Self::Unreadable;
        };
        if let Some(refusal) = text.trim_start().strip_prefix('?') {
            return Self::Refusal(outside_text(refusal.as_bytes()));
        }
        Self::parse_answer(text).unwrap_or(Self::Unreadable)
    }

    fn parse_answer(text: &str) -> Option<Self> {
        let mut words = text.split_ascii_whitespace();
        let ours = number(words.next()?)?;
        let kind = words.next()?;
        let rest = words.next();
        if words.next().is_some() {
            return None;
        }
        match rest {
            None if kind.eq_ignore_ascii_case("CLOSE") => Some(Self::Close { ours }),
            Some(theirs) if kind.eq_ignore_ascii_case("OPEN") => Some(Self::Open {
                ours,
                theirs: number(theirs)?,
            }),
            Some(address) if kind.eq_ignore_ascii_case("PEER") => Some(Self::Peer {
                ours,
                address: peer(address)?,
            }),
            _ => None,
        }
    }
}

/// Digits only: `parse` alone would also take a sign.
fn number(word: &str) -> Option<u32> {
    let digits = word.bytes().all(|byte| byte.is_ascii_digit());
    word.parse().ok().filter(|_| digits)
}

/// IPv6 is taken with and without brackets: pymdht would write it without.
fn peer(word: &str) -> Option<PeerAddress> {
    if let Ok(address) = word.parse::<SocketAddr>() {
        return Some(address.into());
    }
    let (ip, port) = word.rsplit_once(':')?;
    let ip: IpAddr = ip.parse().ok()?;
    let port = u16::try_from(number(port)?).ok()?;
    Some(PeerAddress::new(ip, port))
}

/// The line that begins a lookup. `port` is announced for us behind it; 0
/// announces nothing.
pub fn open(info_hash: InfoHash, port: u16) -> Vec<u8> {
    format!("0 OPEN {OUR_CHANNEL} HASH {info_hash} {port}\r\n").into_bytes()
}

/// Says good-bye in the middle of a lookup. The lookup is closed first: a
/// node that finds peers for a client who has left may die of it.
pub fn farewell(theirs: Option<u32>) -> Vec<u8> {
    let mut text = String::new();
    if let Some(theirs) = theirs {
        // Writing to a text never fails.
        let _ = write!(text, "{theirs} CLOSE\r\n");
    }
    let mut bytes = text.into_bytes();
    bytes.extend_from_slice(EXIT);
    bytes
}

/// Cuts a byte stream into lines; holds [`LINE_MAX`] bytes at most.
#[derive(Debug, Default)]
pub struct LineDecoder {
    line: Vec<u8>,
    skipping: bool,
}

impl LineDecoder {
    /// Takes bytes up to the end of the first line and returns how many it
    /// took (at least one of a non-empty input); `None` means that all were
    /// taken and the line goes on. Empty lines are no news and never come.
    pub fn feed(&mut self, input: &[u8]) -> (usize, Option<Line>) {
        for (index, &byte) in input.iter().enumerate() {
            if byte == b'\n' {
                if let Some(line) = self.finish() {
                    return (index.saturating_add(1), Some(line));
                }
            } else if self.line.len() < LINE_MAX {
                self.line.push(byte);
            } else {
                self.skipping = true;
            }
        }
        (input.len(), None)
    }

    /// Bytes of a line that has not ended yet.
    pub const fn is_mid_line(&self) -> bool {
        !self.line.is_empty()
    }

    fn finish(&mut self) -> Option<Line> {
        let skipped = std::mem::take(&mut self.skipping);
        let line = std::mem::take(&mut self.line);
        let blank = line.iter().all(u8::is_ascii_whitespace);
        match (skipped, blank) {
            (true, _) => Some(Line::Unreadable),
            (false, true) => None,
            (false, false) => Some(Line::parse(&line)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn address(text: &str) -> PeerAddress {
        text.parse::<SocketAddr>().unwrap().into()
    }

    fn all(decoder: &mut LineDecoder, mut input: &[u8]) -> Vec<Line> {
        let mut lines = Vec::new();
        while !input.is_empty() {
            let (taken, line) = decoder.feed(input);
            assert!((1..=input.len()).contains(&taken));
            lines.extend(line);
            input = &input[taken..];
        }
        lines
    }

    fn dialogue() -> (Vec<u8>, Vec<Line>) {
        let bytes = b"0 OPEN 12\r\n0 PEER 192.0.2.1:6881\n\r\n0 peer [2001:db8::1]:1\r\n\
            0 Peer 2001:db8::2:80\n? Wrong channel\r\nrubbish\r\n0 close\r\n";
        let lines = vec![
            Line::Open {
                ours: 0,
                theirs: 12,
            },
            Line::Peer {
                ours: 0,
                address: address("192.0.2.1:6881"),
            },
            Line::Peer {
                ours: 0,
                address: address("[2001:db8::1]:1"),
            },
            Line::Peer {
                ours: 0,
                address: address("[2001:db8::2]:80"),
            },
            Line::Refusal("Wrong channel".to_owned()),
            Line::Unreadable,
            Line::Close { ours: 0 },
        ];
        (bytes.to_vec(), lines)
    }

    #[test]
    fn lines_that_are_no_answers() {
        for line in [
            "",
            "0",
            "0 OPEN",
            "0 OPEN x",
            "0 OPEN 1 2",
            "0 OPEN -1",
            "+0 OPEN 1",
            "x OPEN 1",
            "4294967296 CLOSE",
            "0 CLOSE 1",
            "0 PEER",
            "0 PEER 1.2.3.4",
            "0 PEER 1.2.3.4:65536",
            "0 PEER 1.2.3.4:+80",
            "0 PEER 1.2.3.256:80",
            "0 PEER host:80",
            "0 PEER 1.2.3.4:80 1.2.3.5:80",
            "1 Only CLOSE is accepted",
            "0 PEER 1.2.3.4:\u{fffd}",
        ] {
            assert_eq!(Line::parse(line.as_bytes()), Line::Unreadable, "{line}");
        }
        assert_eq!(Line::parse(b"0 CLOSE\xff"), Line::Unreadable);
        assert_eq!(
            Line::parse(b"? ERROR\x1b[m"),
            Line::Refusal("error\\u{1b}[m".to_owned())
        );
    }

    #[test]
    fn what_is_asked() {
        let hash = InfoHash::new([0xab; 20]);
        let hex = "ab".repeat(20);
        let text = |bytes| String::from_utf8(bytes).unwrap();
        assert_eq!(
            text(open(hash, 6884)),
            format!("0 OPEN 0 HASH {hex} 6884\r\n")
        );
        assert_eq!(text(open(hash, 0)), format!("0 OPEN 0 HASH {hex} 0\r\n"));
        assert_eq!(text(farewell(Some(7))), "7 CLOSE\r\nEXIT\r\n");
        assert_eq!(text(farewell(None)), "EXIT\r\n");
    }

    #[test]
    fn long_lines_are_skipped_without_memory() {
        let mut decoder = LineDecoder::default();
        let long = [&vec![b'x'; 1 << 20][..], b"\r\n0 CLOSE\r\n"].concat();
        assert_eq!(
            all(&mut decoder, &long),
            [Line::Unreadable, Line::Close { ours: 0 }]
        );
        assert!(decoder.line.capacity() <= 2 * LINE_MAX && !decoder.is_mid_line());
        let exact = [&b"0 CLOSE"[..], &[b' '; LINE_MAX - 7], b"\n"].concat();
        assert_eq!(all(&mut decoder, &exact), [Line::Close { ours: 0 }]);
    }

    proptest! {
        #[test]
        fn cut_anywhere_it_reads_the_same(cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20)) {
            let (bytes, expected) = dialogue();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let mut decoder = LineDecoder::default();
            let lines: Vec<Line> = cuts
                .windows(2)
                .flat_map(|cut| all(&mut decoder, &bytes[cut[0]..cut[1]]))
                .collect();
            prop_assert_eq!(lines, expected);
        }

        #[test]
        fn garbage_never_panics_and_stays_small(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..600), 0..8)) {
            let mut decoder = LineDecoder::default();
            for chunk in &chunks {
                all(&mut decoder, chunk);
                prop_assert!(decoder.line.len() <= LINE_MAX);
            }
        }

        #[test]
        fn spelled_in_any_case(text in "0 (open [0-9]{1,5}|close|peer [0-9]{1,3}\\.1\\.2\\.3:[0-9]{1,6})") {
            prop_assert_eq!(Line::parse(text.as_bytes()), Line::parse(text.to_uppercase().as_bytes()));
        }
    }
}
