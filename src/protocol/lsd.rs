//! Local service discovery (BEP 14): the announce that a client sends to a
//! multicast group, so that its neighbours know which torrents it has. Pure.
//!
//! Read and written by the threads of `analyzer::neighbours`. The form is that
//! of HTTP headers in one datagram.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::model::InfoHash;

/// Where announces go over IPv4 (scope: organisation).
pub const GROUP_V4: SocketAddr =
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(239, 192, 152, 143)), PORT);

/// Where they go over IPv6 (scope: site).
pub const GROUP_V6: SocketAddr = SocketAddr::new(
    IpAddr::V6(Ipv6Addr::new(0xff15, 0, 0, 0, 0, 0, 0xefc0, 0x988f)),
    PORT,
);

/// UDP port of both groups.
pub const PORT: u16 = 6771;

/// Longest announce, in bytes.
pub const LENGTH_MAX: usize = 1400;

/// Torrents of one announce, ours or another's; what is beyond is not read.
pub const TORRENTS_MAX: usize = 24;

/// What a neighbour announces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announce {
    /// The port on which it listens, never 0; its address is that of the
    /// datagram.
    pub port: u16,
    /// Its torrents, [`TORRENTS_MAX`] at most, none twice.
    pub torrents: Vec<InfoHash>,
    /// What the sender knows its own announces by.
    pub cookie: Option<Vec<u8>>,
}

/// The datagram is no announce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Malformed {
    /// It has more than [`LENGTH_MAX`] bytes.
    TooLong,
    /// It does not begin as one.
    OtherRequest,
    /// It has no port on which anybody could listen.
    Port,
    /// It names no torrent.
    NoTorrent,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "longer than an announce may be",
            Self::OtherRequest => "no BT-SEARCH request",
            Self::Port => "no port",
            Self::NoTorrent => "no info hash",
        })
    }
}

impl std::error::Error for Malformed {}

/// First line of an announce.
const REQUEST: &[u8] = b"BT-SEARCH * HTTP/1.1";

impl Announce {
    /// Reads a datagram. Unknown headers are ignored, and so are info hashes
    /// that are none.
    ///
    /// # Errors
    /// When it is no announce.
    pub fn parse(datagram: &[u8]) -> Result<Self, Malformed> {
        if datagram.len() > LENGTH_MAX {
            return Err(Malformed::TooLong);
        }
        let mut lines = datagram.split(|byte| *byte == b'\n');
        let first = lines.next().unwrap_or_default().trim_ascii_end();
        if !first.eq_ignore_ascii_case(REQUEST) {
            return Err(Malformed::OtherRequest);
        }
        let (mut port, mut cookie, mut torrents) = (None, None, Vec::new());
        for line in lines {
            let Some(colon) = line.iter().position(|byte| *byte == b':') else {
                continue;
            };
            let (name, value) = line.split_at(colon);
            let value = value.get(1..).unwrap_or_default().trim_ascii();
            match name.trim_ascii().to_ascii_lowercase().as_slice() {
                b"port" => port = number(value),
                b"cookie" => cookie = Some(value.to_vec()),
                b"infohash" => torrents.extend(info_hash(value)),
                _ => {}
            }
        }
        let port = port.filter(|port| *port != 0).ok_or(Malformed::Port)?;
        let mut distinct = Vec::new();
        for hash in torrents {
            if distinct.len() < TORRENTS_MAX && !distinct.contains(&hash) {
                distinct.push(hash);
            }
        }
        if distinct.is_empty() {
            return Err(Malformed::NoTorrent);
        }
        Ok(Self {
            port,
            torrents: distinct,
            cookie,
        })
    }

    /// The datagram for `group`; the cookie must be one line of at most 32
    /// bytes, and of the torrents the first [`TORRENTS_MAX`] are told.
    ///
    /// ```
    /// use btda::protocol::lsd::{Announce, GROUP_V4, LENGTH_MAX};
    /// let ours = Announce {
    ///     port: 6884,
    ///     torrents: vec![btda::model::InfoHash::new([7; 20])],
    ///     cookie: Some(b"0123abcd".to_vec()),
    /// };
    /// let datagram = ours.encode(GROUP_V4);
    /// assert_eq!(Announce::parse(&datagram), Ok(ours));
    /// ```
    pub fn encode(&self, group: SocketAddr) -> Vec<u8> {
        let mut text = format!(
            "BT-SEARCH * HTTP/1.1\r\nHost: {group}\r\nPort: {}\r\n",
            self.port
        )
        .into_bytes();
        for hash in self.torrents.iter().take(TORRENTS_MAX) {
            text.extend(format!("Infohash: {hash}\r\n").into_bytes());
        }
        if let Some(cookie) = &self.cookie {
            text.extend(b"cookie: ");
            text.extend(cookie);
            text.extend(b"\r\n");
        }
        text.extend(b"\r\n\r\n");
        text
    }
}

fn number(text: &[u8]) -> Option<u16> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn info_hash(text: &[u8]) -> Option<InfoHash> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// As libtorrent 2.0.8 sent it.
    const REAL: &[u8] = b"BT-SEARCH * HTTP/1.1\r\nHost: 239.192.152.143:6771\r\nPort: 7001\r\n\
        Infohash: 487a41e5f0e563c6fb72694a18b5392fe160a52c\r\ncookie: 324e2483\r\n\r\n\r\n";

    #[test]
    fn an_announce_of_a_real_client() {
        let announce = Announce::parse(REAL).unwrap();
        assert_eq!(announce.port, 7001);
        assert_eq!(announce.cookie.as_deref(), Some(&b"324e2483"[..]));
        let hash = "487a41e5f0e563c6fb72694a18b5392fe160a52c";
        assert_eq!(announce.torrents, [hash.parse().unwrap()]);
        assert_eq!(announce.encode(GROUP_V4), REAL);
    }

    #[test]
    fn other_forms_of_the_same() {
        let hash = "487A41E5F0E563C6FB72694A18B5392FE160A52C";
        let text = format!(
            "bt-search * http/1.1\nHOST:x\nX-New: 1\nport:  51413 \ninfohash:{hash}\n\
             Infohash: zz\nInfohash: {hash}\nno header\n\n"
        );
        let announce = Announce::parse(text.as_bytes()).unwrap();
        assert_eq!((announce.port, announce.torrents.len()), (51_413, 1));
        assert_eq!(announce.cookie, None);
    }

    #[test]
    fn what_is_none() {
        let hash = "Infohash: 487a41e5f0e563c6fb72694a18b5392fe160a52c\r\n";
        for (text, wanted) in [
            (String::new(), Malformed::OtherRequest),
            (
                format!("M-SEARCH * HTTP/1.1\r\nPort: 1\r\n{hash}"),
                Malformed::OtherRequest,
            ),
            (format!("BT-SEARCH * HTTP/1.1\r\n{hash}"), Malformed::Port),
            (
                format!("BT-SEARCH * HTTP/1.1\r\nPort: 0\r\n{hash}"),
                Malformed::Port,
            ),
            (
                format!("BT-SEARCH * HTTP/1.1\r\nPort: 65536\r\n{hash}"),
                Malformed::Port,
            ),
            (
                "BT-SEARCH * HTTP/1.1\r\nPort: 9\r\n".to_owned(),
                Malformed::NoTorrent,
            ),
            ("x".repeat(LENGTH_MAX + 1), Malformed::TooLong),
        ] {
            assert_eq!(Announce::parse(text.as_bytes()), Err(wanted), "{text}");
        }
    }

    #[test]
    fn the_longest_that_we_send_is_within_the_limit() {
        let torrents = (0..40).map(|n| InfoHash::new([n; 20])).collect();
        let ours = Announce {
            port: u16::MAX,
            torrents,
            cookie: Some(vec![b'f'; 32]),
        };
        for group in [GROUP_V4, GROUP_V6] {
            let datagram = ours.encode(group);
            assert!(datagram.len() <= LENGTH_MAX, "{}", datagram.len());
            let read = Announce::parse(&datagram).unwrap();
            assert_eq!(read.torrents[..], ours.torrents[..TORRENTS_MAX]);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(tail in prop::collection::vec(any::<u8>(), 0..1500)) {
            let _ = Announce::parse(&tail);
            let _ = Announce::parse(&[REQUEST, b"\r\n", &tail].concat());
            for length in 0..REAL.len() {
                let _ = Announce::parse(&REAL[..length]);
            }
        }
    }
}
