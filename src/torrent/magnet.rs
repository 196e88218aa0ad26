//! Magnet links (BEP 9) and lists of them.
//!
//! Called at the start of a run, on the main thread, for `magnet.txt` and
//! `--magnet`. Links are read as people paste them: any case of the keys,
//! numbered keys (`xt.1`), unknown keys left out. Refused is only what names
//! no v1 swarm.

mod list;

use std::fmt;

use percent_encoding::percent_decode_str;

use super::name::clean;
use super::trackers::TrackerList;
use crate::model::InfoHash;
use crate::outside::outside_text;

pub use list::{LIST_SIZE_MAX, MagnetLine, MagnetList, NOTES_MAX, parse_list, read_list};

/// Longest link that is read, in bytes.
pub const LINK_LEN_MAX: usize = 64 * 1024;

/// Different info hashes taken from one link.
pub const HASHES_MAX: usize = 100;

/// Peers (`x.pe`) taken from one link.
pub const PEERS_MAX: usize = 200;

/// Longest host name (RFC 1035) with brackets to spare.
const HOST_LEN_MAX: usize = 255;

/// Most oddities of one kind that are named one by one.
const NAMED_MAX: usize = 5;

/// What a magnet link says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Magnet {
    /// Every v1 info hash (`xt=urn:btih:`), none twice, at least one. Each is
    /// a torrent of its own with the same trackers and peers.
    pub info_hashes: Vec<InfoHash>,
    /// `dn`: valid UTF-8 without control characters; `None` when nothing is
    /// left. Holds until the metadata are there.
    pub display_name: Option<String>,
    /// `tr`: usable announce URLs, none twice, as
    /// [`super::metainfo::Metainfo::trackers`].
    pub trackers: Vec<String>,
    /// `x.pe`: peers to ask first, none twice.
    pub peers: Vec<PeerHint>,
    /// What was odd about the link without making it useless, outside text
    /// escaped.
    pub notes: Vec<String>,
}

/// Host and port of a peer in a link, not yet looked up. Has no `Display`: it
/// may be an address.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PeerHint {
    /// A host name, or an IP address without brackets.
    pub host: String,
    /// The port, never 0.
    pub port: u16,
}

impl fmt::Debug for PeerHint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PeerHint(..)")
    }
}

/// Why a link cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MagnetError {
    /// It does not begin with `magnet:?`.
    NotMagnet,
    /// It is longer than [`LINK_LEN_MAX`].
    TooLong,
    /// It has no `xt` at all, or none for BitTorrent.
    NoTopic,
    /// It has `urn:btmh:` only: a v2 torrent (BEP 52), whose swarm has another
    /// kind of info hash.
    V2Only,
    /// The info hash is neither 40 hexadecimal digits nor 32 base32
    /// characters.
    BadHash {
        /// What was there, harmless to show.
        found: String,
    },
}

impl fmt::Display for MagnetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotMagnet => {
                f.write_str("not a magnet link: it does not begin with \"magnet:?\"")
            }
            Self::TooLong => write!(f, "longer than {LINK_LEN_MAX} bytes"),
            Self::NoTopic => f.write_str("no info hash: \"xt=urn:btih:...\" is missing"),
            Self::V2Only => f.write_str(
                "a v2-only magnet link (urn:btmh, BEP 52), which is not supported; \
                 use a link with urn:btih",
            ),
            Self::BadHash { found } => write!(
                f,
                "info hash \"{found}\" is neither 40 hexadecimal digits nor 32 base32 characters"
            ),
        }
    }
}

impl std::error::Error for MagnetError {}

impl Magnet {
    /// Reads a link. White space around it is ignored.
    ///
    /// ```
    /// use btda::torrent::magnet::Magnet;
    /// let link = "magnet:?xt=urn:btih:AERUKZ4JVPG66AJDIVTYTK6N54ASGRLH&dn=a+b&tr=udp%3A%2F%2Ft.example%3A1";
    /// let magnet = Magnet::parse(link)?;
    /// assert_eq!(magnet.info_hashes[0].to_string(), "0123456789abcdef0123456789abcdef01234567");
    /// assert_eq!(magnet.display_name.as_deref(), Some("a b"));
    /// assert_eq!(magnet.trackers, ["udp://t.example:1"]);
    /// # Ok::<(), btda::torrent::magnet::MagnetError>(())
    /// ```
    pub fn parse(link: &str) -> Result<Self, MagnetError> {
        let link = link.trim();
        if link.len() > LINK_LEN_MAX {
            return Err(MagnetError::TooLong);
        }
        let query = query(link).ok_or(MagnetError::NotMagnet)?;
        let mut reading = Reading::default();
        for pair in query.split('&') {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            reading.take(key, value);
        }
        reading.finish()
    }
}

/// What follows `magnet:?`, up to a fragment.
fn query(link: &str) -> Option<&str> {
    const START: &str = "magnet:?";
    let start = link.get(..START.len())?;
    let query = link.get(START.len()..)?;
    let query = query.split('#').next().unwrap_or(query);
    start.eq_ignore_ascii_case(START).then_some(query)
}

/// A link while it is read.
#[derive(Default)]
struct Reading {
    hashes: Vec<InfoHash>,
    first_bad_hash: Option<String>,
    v2: bool,
    name: Option<String>,
    trackers: TrackerList,
    peers: Vec<PeerHint>,
    bad_peers: usize,
    beyond_limit: usize,
    notes: Vec<String>,
}

impl Reading {
    fn take(&mut self, key: &str, value: &str) {
        let key = decode(key).to_ascii_lowercase();
        match base_key(&key) {
            "xt" => self.topic(&decode(value)),
            "dn" if self.name.is_none() => {
                self.name = Some(clean(&decode(value))).filter(|name| !name.is_empty());
            }
            "tr" => self.trackers.push(&decode(value)),
            "x.pe" => self.peer(&decode(value)),
            _ => {}
        }
    }

    fn topic(&mut self, topic: &str) {
        let lower = topic.to_ascii_lowercase();
        if lower.starts_with("urn:btmh:") {
            self.v2 = true;
        } else if lower.starts_with("urn:btih:") {
            let text = topic.get("urn:btih:".len()..).unwrap_or_default();
            match info_hash(text.trim()) {
                Some(hash) if self.hashes.contains(&hash) => {}
                Some(_) if self.hashes.len() >= HASHES_MAX => self.beyond_limit += 1,
                Some(hash) => self.hashes.push(hash),
                None => self.bad_hash(text),
            }
        }
    }

    fn bad_hash(&mut self, text: &str) {
        let shown: String = text.chars().take(80).collect();
        let found = outside_text(shown.as_bytes());
        if self.notes.len() < NAMED_MAX {
            let note = format!("info hash \"{found}\" left out: it is none");
            self.notes.push(note);
        }
        self.first_bad_hash.get_or_insert(found);
    }

    fn peer(&mut self, text: &str) {
        match peer_hint(text) {
            None => self.bad_peers += 1,
            Some(peer) if self.peers.contains(&peer) => {}
            Some(_) if self.peers.len() >= PEERS_MAX => self.beyond_limit += 1,
            Some(peer) => self.peers.push(peer),
        }
    }

    fn finish(self) -> Result<Magnet, MagnetError> {
        if self.hashes.is_empty() {
            return Err(match self.first_bad_hash {
                Some(found) => MagnetError::BadHash { found },
                None if self.v2 => MagnetError::V2Only,
                None => MagnetError::NoTopic,
            });
        }
        let (trackers, tracker_notes) = self.trackers.finish();
        let mut notes = self.notes;
        notes.extend(tracker_notes);
        if self.v2 {
            notes.push("hybrid link: only its v1 swarm is measured".to_owned());
        }
        if self.bad_peers > 0 {
            let count = self.bad_peers;
            notes.push(format!("{count} peers (x.pe) left out: not host:port"));
        }
        if self.beyond_limit > 0 {
            let count = self.beyond_limit;
            notes.push(format!(
                "{count} info hashes or peers over the limit left out"
            ));
        }
        Ok(Magnet {
            info_hashes: self.hashes,
            display_name: self.name,
            trackers,
            peers: self.peers,
            notes,
        })
    }
}

/// `xt` for `xt.1`; `x.pe` stays.
fn base_key(key: &str) -> &str {
    match key.rsplit_once('.') {
        Some((base, number)) if number.bytes().all(|byte| byte.is_ascii_digit()) => base,
        _ => key,
    }
}

/// Percent-decoding; `+` is a space, as in forms and in the links of most
/// sites. What is no UTF-8 then becomes replacement characters.
fn decode(text: &str) -> String {
    let text = text.replace('+', " ");
    percent_decode_str(&text).decode_utf8_lossy().into_owned()
}

/// 40 hexadecimal digits or 32 base32 characters.
fn info_hash(text: &str) -> Option<InfoHash> {
    match text.len() {
        40 => text.parse().ok(),
        32 => base32(text.as_bytes()).map(InfoHash::new),
        _ => None,
    }
}

/// Base32 (RFC 4648, either case, no padding) of exactly 20 bytes: four
/// groups of eight characters, 40 bits each. Too little for a dependency.
fn base32(text: &[u8]) -> Option<[u8; 20]> {
    let mut bytes = [0; 20];
    let (groups, []) = text.as_chunks::<8>() else {
        return None;
    };
    let (slots, _) = bytes.as_chunks_mut::<5>();
    for (slot, group) in slots.iter_mut().zip(groups) {
        let bits = group.iter().try_fold(0_u64, |bits, &character| {
            let value = match character.to_ascii_uppercase() {
                letter @ b'A'..=b'Z' => letter - b'A',
                digit @ b'2'..=b'7' => digit - b'2' + 26,
                _ => return None,
            };
            Some(bits << 5 | u64::from(value))
        })?;
        let [_, _, _, rest @ ..] = bits.to_be_bytes();
        *slot = rest;
    }
    (groups.len() == 4).then_some(bytes)
}

/// `host:port`, with brackets around an IPv6 address.
fn peer_hint(text: &str) -> Option<PeerHint> {
    let (host, port) = text.trim().rsplit_once(':')?;
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    let port = port
        .parse()
        .ok()
        .filter(|&port: &u16| digits && port != 0)?;
    let host = match host.strip_prefix('[') {
        Some(rest) => {
            let inside = rest.strip_suffix(']')?;
            inside.parse::<std::net::Ipv6Addr>().ok()?;
            inside
        }
        None => Some(host).filter(|host| is_host(host))?,
    };
    Some(PeerHint {
        host: host.to_owned(),
        port,
    })
}

/// A name or an IPv4 address.
fn is_host(host: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    (1..=HOST_LEN_MAX).contains(&host.len()) && host.bytes().all(allowed)
}

#[cfg(test)]
mod tests;
