//! One line of JSON. Pure.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Heard, Kind, LINE_MAX, Named, PEERS_MAX, Record, Resolved, SourcePeer, VERSION};
use crate::dht::node::id::NodeId;
use crate::model::{InfoHash, Timestamp};
use crate::storage::geo::{Place, is_country_code};

/// Characters of a name that are kept.
const NAME_MAX: usize = 1024;

/// Bytes of a program's version that are kept.
const VERSION_BYTES_MAX: usize = 64;

/// Why a line is no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineError {
    /// More than [`LINE_MAX`] bytes.
    TooLong,
    /// No JSON object, or a value of the wrong kind.
    NotJson,
    /// Another version than [`VERSION`].
    OtherVersion,
    /// `type` is none of the three.
    UnknownType,
    /// This key is missing or makes no sense.
    Key(&'static str),
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "more than {LINE_MAX} bytes"),
            Self::NotJson => f.write_str("no JSON object with the right kinds of values"),
            Self::OtherVersion => write!(f, "not of version {VERSION}"),
            Self::UnknownType => f.write_str("unknown type"),
            Self::Key(key) => write!(f, "key '{key}' is missing or wrong"),
        }
    }
}

impl std::error::Error for LineError {}

/// All keys of all types, in the order in which they are written.
#[derive(Serialize, Deserialize)]
struct Line<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    v: u32,
    #[serde(borrow)]
    infohash: Cow<'a, str>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    our_id: Cow<'a, str>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    their_id: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    their_ip: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    version: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    version_hex: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    is_seed: Option<bool>,
    timestamp: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    location: Option<Cow<'a, Place>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    files: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    num_peers: Option<u64>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    peers: Option<Vec<PeerLine<'a>>>,
}

/// An entry of `peers`.
#[derive(Serialize, Deserialize)]
struct PeerLine<'a> {
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    ip: Option<Cow<'a, str>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    node_id: Option<Cow<'a, str>>,
    #[serde(default)]
    last_send_time: i64,
    #[serde(default)]
    last_seen: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    location: Option<Cow<'a, Place>>,
}

/// Appends the line of `record`, with the line end.
pub fn write_line(record: &Record, out: &mut Vec<u8>) {
    let line = match record {
        Record::Heard(heard) => of_heard(heard),
        Record::Resolved(resolved) => of_resolved(resolved),
    };
    let start = out.len();
    // Fails on maps with odd keys and on writers that fail; neither is here.
    if serde_json::to_writer(&mut *out, &line).is_err() {
        out.truncate(start);
        return;
    }
    out.push(b'\n');
}

fn of_heard(heard: &Heard) -> Line<'_> {
    let announce = heard.kind == Kind::Announce;
    let version = heard.version.as_deref();
    Line {
        kind: heard.kind.as_str().into(),
        v: VERSION,
        infohash: hex(heard.info_hash.as_bytes()).into(),
        name: heard.name.as_deref().map(one_line),
        our_id: hex(heard.our_id.as_bytes()).into(),
        their_id: heard.their_id.map(|id| id_text(id).into()),
        their_ip: heard.their_ip.map(|ip| ip_text(ip).into()),
        version: version.and_then(letters).map(Cow::Borrowed),
        version_hex: version.map(|version| hex(version).into()),
        is_seed: announce.then_some(heard.is_seed),
        timestamp: heard.at.millis(),
        location: heard.location.as_deref().map(Cow::Borrowed),
        size: None,
        files: None,
        num_peers: None,
        peers: None,
    }
}

fn of_resolved(resolved: &Resolved) -> Line<'_> {
    let peers = resolved.peers.iter().take(PEERS_MAX);
    Line {
        kind: Kind::Resolve.as_str().into(),
        v: VERSION,
        infohash: hex(resolved.info_hash.as_bytes()).into(),
        name: Some(one_line(&resolved.name)),
        our_id: hex(resolved.our_id.as_bytes()).into(),
        their_id: None,
        their_ip: None,
        version: None,
        version_hex: None,
        is_seed: None,
        timestamp: resolved.at.millis(),
        location: None,
        size: Some(resolved.size),
        files: Some(resolved.files),
        num_peers: Some(resolved.num_peers),
        peers: Some(peers.map(of_peer).collect()),
    }
}

fn of_peer(peer: &SourcePeer) -> PeerLine<'_> {
    PeerLine {
        ip: peer.ip.map(|ip| ip_text(ip).into()),
        node_id: peer.node_id.map(|id| id_text(id).into()),
        last_send_time: peer.last_send_time.millis(),
        last_seen: peer.last_seen.millis(),
        location: peer.location.as_deref().map(Cow::Borrowed),
    }
}

/// Reads one line, with or without its end. Unknown keys are passed over.
pub fn parse(line: &[u8]) -> Result<Record, LineError> {
    if line.len() > LINE_MAX {
        return Err(LineError::TooLong);
    }
    let line: Line<'_> = serde_json::from_slice(line).map_err(|_| LineError::NotJson)?;
    if line.v != VERSION {
        return Err(LineError::OtherVersion);
    }
    match &*line.kind {
        "get_peers" => heard(line, Kind::Lookup),
        "announce" => heard(line, Kind::Announce),
        "resolve" => resolved(line),
        _ => Err(LineError::UnknownType),
    }
}

fn heard(line: Line<'_>, kind: Kind) -> Result<Record, LineError> {
    Ok(Record::Heard(Box::new(Heard {
        kind,
        info_hash: hash(&line.infohash, "infohash")?,
        name: line.name.map(kept_name),
        our_id: hash(&line.our_id, "our_id")?.into(),
        their_id: line.their_id.map(|text| read_id(&text)).transpose()?,
        their_ip: line.their_ip.map(|text| read_ip(&text)).transpose()?,
        version: line.version_hex.map(|text| read_hex(&text)).transpose()?,
        is_seed: line.is_seed.unwrap_or(false),
        at: Timestamp(line.timestamp),
        location: place(line.location),
    })))
}

fn resolved(line: Line<'_>) -> Result<Record, LineError> {
    let peers = line.peers.unwrap_or_default();
    let known = u64::try_from(peers.len()).unwrap_or(u64::MAX);
    let peers = peers.into_iter().take(PEERS_MAX).map(|peer| {
        Ok(SourcePeer {
            ip: peer.ip.map(|text| read_ip(&text)).transpose()?,
            node_id: peer.node_id.map(|text| read_id(&text)).transpose()?,
            last_send_time: Timestamp(peer.last_send_time),
            last_seen: Timestamp(peer.last_seen),
            location: place(peer.location),
        })
    });
    let peers: Result<Vec<_>, LineError> = peers.collect();
    Ok(Record::Resolved(Box::new(Resolved {
        info_hash: hash(&line.infohash, "infohash")?,
        name: line.name.map(kept_name).unwrap_or_default(),
        our_id: hash(&line.our_id, "our_id")?.into(),
        at: Timestamp(line.timestamp),
        size: line.size.ok_or(LineError::Key("size"))?,
        files: line.files.ok_or(LineError::Key("files"))?,
        num_peers: line.num_peers.unwrap_or(known),
        peers: peers?,
    })))
}

/// A place as a database of places would tell it: a file of others may say
/// anything.
fn place(told: Option<Cow<'_, Place>>) -> Option<Box<Place>> {
    let told = told?.into_owned();
    let text = |text: Option<String>| text.map(|it| kept_name(one_line(&it)));
    let degrees = |degrees: Option<f64>, most: f64| degrees.filter(|it| it.abs() <= most);
    let place = Place {
        country_iso: told.country_iso.filter(is_country_code),
        country: text(told.country),
        sub_iso: text(told.sub_iso),
        subdivision: text(told.subdivision),
        city: text(told.city),
        latitude: degrees(told.latitude, 90.0),
        longitude: degrees(told.longitude, 180.0),
        accuracy: told.accuracy,
    };
    (place != Place::default()).then(|| Box::new(place))
}

/// Upper-case hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |value: u8| char::from(DIGITS.get(usize::from(value)).copied().unwrap_or(b'0'));
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(digit(byte >> 4));
        text.push(digit(byte & 0xf));
    }
    text
}

fn read_hex(text: &str) -> Result<Box<[u8]>, LineError> {
    let wrong = LineError::Key("version_hex");
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else {
        return Err(wrong);
    };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    pairs
        .iter()
        .take(VERSION_BYTES_MAX)
        .map(|[high, low]| u8::try_from(digit(*high)? << 4 | digit(*low)?).ok())
        .collect::<Option<_>>()
        .ok_or(wrong)
}

fn hash(text: &str, key: &'static str) -> Result<InfoHash, LineError> {
    text.parse().map_err(|_| LineError::Key(key))
}

/// Ids have 40 digits, pseudonyms 16.
fn read_id(text: &str) -> Result<Named<NodeId>, LineError> {
    if let Ok(name) = text.parse() {
        return Ok(Named::Pseudonym(name));
    }
    hash(text, "their_id").map(|id| Named::Plain(id.into()))
}

/// A pseudonym of 16 digits is no address in any form.
fn read_ip(text: &str) -> Result<Named<IpAddr>, LineError> {
    if let Ok(ip) = IpAddr::from_str(text) {
        return Ok(Named::Plain(ip));
    }
    let name = text.parse().map_err(|_| LineError::Key("their_ip"))?;
    Ok(Named::Pseudonym(name))
}

fn id_text(id: Named<NodeId>) -> String {
    match id {
        Named::Plain(id) => hex(id.as_bytes()),
        Named::Pseudonym(name) => name.to_string(),
    }
}

fn ip_text(ip: Named<IpAddr>) -> String {
    match ip {
        Named::Plain(ip) => ip.to_string(),
        Named::Pseudonym(name) => name.to_string(),
    }
}

/// The two letters of a program, when they are printable.
fn letters(version: &[u8]) -> Option<&str> {
    let two = version.get(..2)?;
    let printable = two.iter().all(u8::is_ascii_graphic);
    printable.then(|| std::str::from_utf8(two).ok()).flatten()
}

/// Line ends become blanks.
fn one_line(name: &str) -> Cow<'_, str> {
    if name.contains(char::is_control) {
        let blank = |c: char| if c.is_control() { ' ' } else { c };
        Cow::Owned(name.chars().map(blank).collect())
    } else {
        Cow::Borrowed(name)
    }
}

fn kept_name(name: Cow<'_, str>) -> String {
    match name.char_indices().nth(NAME_MAX) {
        Some((end, _)) => name.get(..end).unwrap_or_default().to_owned(),
        None => name.into_owned(),
    }
}
