//! HTTP trackers: URLs to send and bodies to read (BEP 3, 7, 23, 24, 31, 48).
//!
//! Pure. Answers are read by the tolerant bencoding reader: unsorted keys and
//! unknown keys do no harm.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

use super::announce::{AnnounceAnswer, AnnounceRequest, compact_v4, compact_v6};
use super::{RetryIn, TrackerError};
use crate::model::record::ScrapeFigures;
use crate::model::{InfoHash, PeerAddress, PeerId};
use crate::protocol::bencode::Value;

/// Torrents in one scrape at most; the URL stays below 4 KiB.
pub const SCRAPE_MAX: usize = 50;

/// Longest `tracker id` that is sent back.
const TRACKER_ID_MAX: usize = 512;

/// Everything but the unreserved characters of RFC 3986.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// The URL of one announce; a query in `announce` (a passkey) stays in front.
pub fn announce_url(announce: &str, request: &AnnounceRequest) -> String {
    let mut url = open_query(announce);
    let totals = request.totals;
    let _ = write!(
        url,
        "info_hash={}&peer_id={}&port={}&uploaded={}&downloaded={}&left={}&compact=1&key={:08x}",
        percent_encode(request.info_hash.as_bytes(), ENCODED),
        percent_encode(request.peer_id.as_bytes(), ENCODED),
        request.port,
        totals.uploaded,
        totals.downloaded,
        totals.left,
        request.key,
    );
    if let Some(event) = request.event {
        let _ = write!(url, "&event={}", event.as_str());
    }
    if let Some(number) = request.num_want {
        let _ = write!(url, "&numwant={number}");
    }
    if let Some(id) = &request.tracker_id {
        let _ = write!(url, "&trackerid={}", percent_encode(id, ENCODED));
    }
    url
}

/// The URL of one scrape for `hashes`.
pub fn scrape_url(scrape: &str, hashes: &[InfoHash]) -> String {
    let mut url = open_query(scrape);
    for (index, hash) in hashes.iter().enumerate() {
        let and = if index == 0 { "" } else { "&" };
        let _ = write!(
            url,
            "{and}info_hash={}",
            percent_encode(hash.as_bytes(), ENCODED)
        );
    }
    url
}

fn open_query(url: &str) -> String {
    let mark = match url.split_once('?') {
        None => "?",
        Some((_, query)) if query.is_empty() || query.ends_with('&') => "",
        Some(_) => "&",
    };
    format!("{url}{mark}")
}

/// Reads the answer to an announce.
pub fn parse_announce(status: u16, body: &[u8]) -> Result<AnnounceAnswer, TrackerError> {
    let root = dictionary(status, body)?;
    let mut answer = AnnounceAnswer {
        interval: number(root, b"interval"),
        min_interval: number(root, b"min interval"),
        tracker_id: root
            .get(b"tracker id")
            .and_then(Value::bytes)
            .filter(|id| id.len() <= TRACKER_ID_MAX)
            .map(<[u8]>::to_vec),
        seeders: number(root, b"complete"),
        leechers: number(root, b"incomplete"),
        warning: root
            .get(b"warning message")
            .and_then(Value::bytes)
            .map(<[u8]>::to_vec),
        external_ip: root
            .get(b"external ip")
            .and_then(Value::bytes)
            .and_then(ip_of),
        ..AnnounceAnswer::default()
    };
    let peers = root.get(b"peers");
    let peers6 = root.get(b"peers6");
    if peers.is_none() && peers6.is_none() && answer.interval.is_none() {
        return Err(TrackerError::NoPeers);
    }
    if let Some(peers) = peers {
        take_peers(peers, &mut answer)?;
    }
    // Whatever is wrong with the list of BEP 7, the other one is good.
    if let Some(bytes) = peers6.and_then(Value::bytes) {
        compact_v6(bytes).for_each(|peer| answer.push(peer));
    }
    Ok(answer)
}

fn take_peers(peers: Value<'_>, answer: &mut AnnounceAnswer) -> Result<(), TrackerError> {
    if let Some(bytes) = peers.bytes() {
        if bytes.len() % 6 != 0 {
            return Err(TrackerError::PeersLength);
        }
        compact_v4(bytes).for_each(|peer| answer.push(peer));
        return Ok(());
    }
    let list = peers.list().ok_or(TrackerError::PeersType)?;
    list.filter_map(listed_peer)
        .for_each(|(peer, id)| answer.push_named(peer, id));
    Ok(())
}

/// An entry of the list of BEP 3; host names are not looked up.
fn listed_peer(entry: Value<'_>) -> Option<(PeerAddress, Option<PeerId>)> {
    let ip: IpAddr = entry.get(b"ip")?.text()?.trim().parse().ok()?;
    let port = entry.get(b"port")?.integer()?;
    let id = entry.get(b"peer id").and_then(Value::bytes);
    let id = id.and_then(|id| id.try_into().ok()).map(PeerId::new);
    Some((PeerAddress::new(ip, u16::try_from(port).ok()?), id))
}

/// Reads the answer to a scrape: what it says about each of `hashes`, `None`
/// for a torrent that it does not name.
pub fn parse_scrape(
    status: u16,
    body: &[u8],
    hashes: &[InfoHash],
) -> Result<Vec<Option<ScrapeFigures>>, TrackerError> {
    let root = dictionary(status, body)?;
    let files = root
        .get(b"files")
        .filter(|files| files.raw().starts_with(b"d"))
        .ok_or(TrackerError::NoFiles)?;
    let mut found = vec![None; hashes.len()];
    // One walk over the answer, however many torrents it names.
    for (key, entry) in files.dict().into_iter().flatten() {
        let place = hashes.iter().position(|hash| hash.as_bytes() == key);
        if let Some(slot) = place.and_then(|place| found.get_mut(place)) {
            slot.get_or_insert(ScrapeFigures {
                seeders: number(entry, b"complete"),
                completed: number(entry, b"downloaded"),
                leechers: number(entry, b"incomplete"),
            });
        }
    }
    Ok(found)
}

/// The dictionary of a body, unless it is a refusal. Trackers send failure
/// reasons with any status.
fn dictionary(status: u16, body: &[u8]) -> Result<Value<'_>, TrackerError> {
    let success = (200..300).contains(&status);
    // Some trackers end their answer with a line break.
    let root = match Value::parse_prefix(body) {
        Ok((root, rest)) if rest.iter().all(u8::is_ascii_whitespace) => root,
        _ if success => return Err(TrackerError::NotBencoded),
        _ => return Err(TrackerError::Status(status)),
    };
    if let Some(reason) = root.get(b"failure reason") {
        return Err(TrackerError::Refused {
            text: reason.bytes().unwrap_or_default().to_vec(),
            retry: root.get(b"retry in").and_then(retry_in),
        });
    }
    if !success {
        return Err(TrackerError::Status(status));
    }
    if !root.raw().starts_with(b"d") {
        return Err(TrackerError::NotDictionary);
    }
    Ok(root)
}

/// BEP 31: minutes, as a number or its text, or `never`.
fn retry_in(value: Value<'_>) -> Option<RetryIn> {
    if value.bytes() == Some(b"never") {
        return Some(RetryIn::Never);
    }
    let minutes = value
        .integer()
        .or_else(|| value.text()?.trim().parse().ok())?;
    let seconds = u64::try_from(minutes).ok()?.saturating_mul(60);
    Some(RetryIn::After(Duration::from_secs(seconds)))
}

fn number(dictionary: Value<'_>, key: &[u8]) -> Option<u32> {
    u32::try_from(dictionary.get(key)?.integer()?).ok()
}

fn ip_of(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        return Some(IpAddr::from(v4));
    }
    <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from)
}

#[cfg(test)]
mod tests;
