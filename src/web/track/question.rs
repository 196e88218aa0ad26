//! What somebody wants to track: JSON with hash and URL or a magnet link, or
//! a torrent file. Pure.

use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use crate::model::{InfoHash, PieceCount};
use crate::torrent::magnet::Magnet;
use crate::torrent::metainfo::Metainfo;
use crate::web::answer::Refused;

/// Trackers of a link or file that are tried at most.
const TRACKERS_MAX: usize = 3;

/// Longest tracker URL.
const URL_LEN_MAX: usize = 2048;

/// Port where none is given, as of the Torrent Peer Tracker.
pub(in crate::web) const DEFAULT_PORT: u16 = 6881;

/// One torrent and where to ask for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::web) struct Question {
    /// The torrent.
    pub(in crate::web) info_hash: InfoHash,
    /// Trackers, to be tried in this order until one answers; none only where
    /// the DHT is asked.
    pub(in crate::web) trackers: Vec<String>,
    /// The port that is announced.
    pub(in crate::web) port: u16,
    /// Bytes of the torrent.
    pub(in crate::web) size: Option<u64>,
    /// Pieces of the torrent.
    pub(in crate::web) pieces: Option<PieceCount>,
    /// BEP 27: it is none of the DHT's business.
    pub(in crate::web) private: bool,
    /// Whether the DHT is asked, too.
    pub(in crate::web) dht: bool,
}

#[derive(Deserialize)]
struct Fields {
    #[serde(default)]
    info_hash: String,
    #[serde(default)]
    tracker_url: String,
    #[serde(default)]
    magnet: String,
    #[serde(default)]
    port: Value,
    #[serde(default)]
    dht: bool,
}

/// Reads the JSON body of `POST /track`.
pub(in crate::web) fn of_json(body: &[u8]) -> Result<Question, Refused> {
    let fields: Fields = serde_json::from_slice(body).map_err(|error| {
        refused(format!(
            "the body is no JSON object of the expected form: {error}"
        ))
    })?;
    let port = port_of(&fields.port)?;
    let url = fields.tracker_url.trim();
    if !fields.magnet.trim().is_empty() {
        let link =
            Magnet::parse(&fields.magnet).map_err(|error| refused(format!("magnet: {error}")))?;
        let info_hash = *link
            .info_hashes
            .first()
            .ok_or_else(|| refused("magnet: no info hash"))?;
        let trackers = chosen(url, link.trackers)?;
        return Ok(Question::of(info_hash, trackers, port, fields.dht));
    }
    if fields.info_hash.trim().is_empty() || (url.is_empty() && !fields.dht) {
        return Err(refused("missing info_hash or tracker_url"));
    }
    let info_hash = fields.info_hash.trim().parse();
    let info_hash = info_hash.map_err(|error| refused(format!("info_hash: {error}")))?;
    let trackers = chosen(url, Vec::new())?;
    Ok(Question::of(info_hash, trackers, port, fields.dht))
}

impl Question {
    /// Of a torrent of which nothing else is known; the DHT is asked, too,
    /// where there is no tracker.
    fn of(info_hash: InfoHash, trackers: Vec<String>, port: u16, dht: bool) -> Self {
        Self {
            dht: dht || trackers.is_empty(),
            info_hash,
            trackers,
            port,
            size: None,
            pieces: None,
            private: false,
        }
    }
}

/// Reads a torrent file; `port` is the text of the query, which may want the
/// DHT.
pub(in crate::web) fn of_torrent(
    body: &[u8],
    port: Option<&str>,
    dht: bool,
) -> Result<Question, Refused> {
    let file = Metainfo::parse(body).map_err(|error| refused(format!("torrent file: {error}")))?;
    let trackers = chosen("", file.trackers)?;
    if file.private && trackers.is_empty() {
        return Err(refused("the torrent is private, and names no tracker"));
    }
    let port = port_of(&port.map_or(Value::Null, Value::from))?;
    let question = Question::of(file.info_hash, trackers, port, dht);
    Ok(Question {
        dht: question.dht && !file.private,
        size: file.total_length,
        pieces: Some(file.pieces),
        private: file.private,
        ..question
    })
}

fn chosen(url: &str, mut others: Vec<String>) -> Result<Vec<String>, Refused> {
    let mut trackers = if url.is_empty() {
        Vec::new()
    } else {
        vec![url.to_owned()]
    };
    others.truncate(TRACKERS_MAX);
    if trackers.is_empty() {
        trackers = others;
    }
    match trackers.iter().find(|url| url.len() > URL_LEN_MAX) {
        Some(_) => Err(refused(format!(
            "tracker_url: longer than {URL_LEN_MAX} bytes"
        ))),
        None => Ok(trackers),
    }
}

/// A number or its digits; nothing is the default.
fn port_of(value: &Value) -> Result<u16, Refused> {
    let number = match value {
        Value::Null => return Ok(DEFAULT_PORT),
        Value::String(text) if text.trim().is_empty() => return Ok(DEFAULT_PORT),
        Value::String(text) => text.trim().parse().ok(),
        other => other.as_u64().and_then(|number| u16::try_from(number).ok()),
    };
    number
        .filter(|port| *port > 0)
        .ok_or_else(|| refused("port: expected a whole number from 1 to 65535"))
}

fn refused(text: impl Into<String>) -> Refused {
    Refused::new(StatusCode::BAD_REQUEST, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "0123456789abcdef0123456789abcdef01234567";

    fn error(body: &str) -> String {
        let refused = of_json(body.as_bytes()).unwrap_err();
        assert_eq!(refused.status, StatusCode::BAD_REQUEST);
        refused.text
    }

    #[test]
    fn hash_and_url() {
        let trackers = vec!["http://t.example/announce".to_owned()];
        let wanted = Question::of(HASH.parse().unwrap(), trackers, 6881, false);
        assert!(!wanted.dht);
        let upper = HASH.to_uppercase();
        for (hash, port) in [
            (HASH, ""),
            (&upper, ",\"port\":\"6881\""),
            (HASH, ",\"port\":6881"),
        ] {
            let body = format!(
                "{{\"info_hash\":\"{hash}\",\"tracker_url\":\" http://t.example/announce\"{port}}}"
            );
            assert_eq!(of_json(body.as_bytes()), Ok(wanted.clone()));
        }
    }

    #[test]
    fn links_and_files() {
        let link = format!(
            "magnet:?xt=urn:btih:{HASH}&tr=udp%3A%2F%2Ft.example%3A1&tr=http%3A%2F%2Fu.example%2Fannounce"
        );
        let question =
            of_json(serde_json::json!({ "magnet": link }).to_string().as_bytes()).unwrap();
        assert_eq!(
            question.trackers,
            ["udp://t.example:1", "http://u.example/announce"]
        );
        let both =
            serde_json::json!({ "magnet": link, "tracker_url": "udp://v.example:2", "port": 7 });
        let question = of_json(both.to_string().as_bytes()).unwrap();
        assert_eq!(
            (question.trackers, question.port),
            (vec!["udp://v.example:2".to_owned()], 7)
        );
        let file = b"d8:announce18:udp://t.example:1/4:infod6:lengthi5e4:name1:x12:piece lengthi5e6:pieces20:aaaaaaaaaaaaaaaaaaaaee";
        let question = of_torrent(file, Some("80"), true).unwrap();
        assert_eq!(question.trackers, ["udp://t.example:1/"]);
        assert_eq!((question.size, question.port), (Some(5), 80));
        assert_eq!((question.pieces, question.dht), (Some(PieceCount(1)), true));
        assert!(
            of_torrent(b"no", None, false)
                .unwrap_err()
                .text
                .starts_with("torrent file: ")
        );
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        for (body, part) in [
            ("", "no JSON object"),
            ("[1]", "no JSON object"),
            ("{}", "missing info_hash or tracker_url"),
            (
                "{\"info_hash\":\"12\",\"tracker_url\":\"u\"}",
                "40 hexadecimal digits",
            ),
            ("{\"magnet\":\"x\"}", "magnet: not a magnet link"),
        ] {
            assert!(error(body).contains(part), "{body}: {}", error(body));
        }
        for port in ["0", "65536", "-1", "1.5", "\"x\"", "true"] {
            let body =
                format!("{{\"info_hash\":\"{HASH}\",\"tracker_url\":\"u\",\"port\":{port}}}");
            assert!(error(&body).contains("port: expected"), "{port}");
        }
        let long = format!(
            "{{\"info_hash\":\"{HASH}\",\"tracker_url\":\"{}\"}}",
            "u".repeat(3000)
        );
        assert!(error(&long).contains("longer than 2048"));
    }

    #[test]
    fn the_dht_is_asked_where_it_is_wanted_or_alone() {
        let link = format!("{{\"magnet\":\"magnet:?xt=urn:btih:{HASH}\"}}");
        let hash = format!("{{\"info_hash\":\"{HASH}\",\"dht\":true}}");
        for body in [link, hash] {
            let question = of_json(body.as_bytes()).unwrap();
            assert_eq!((question.dht, question.trackers.len()), (true, 0));
        }
        let private = b"d8:announce18:udp://t.example:1/4:infod6:lengthi5e4:name1:x12:piece lengthi5e6:pieces20:aaaaaaaaaaaaaaaaaaaa7:privatei1eee";
        let question = of_torrent(private, None, true).unwrap();
        assert_eq!((question.dht, question.private), (false, true));
        let alone = b"d4:infod6:lengthi5e4:name1:x12:piece lengthi5e6:pieces20:aaaaaaaaaaaaaaaaaaaa7:privatei1eee";
        assert!(
            of_torrent(alone, None, true)
                .unwrap_err()
                .text
                .contains("private")
        );
    }
}
