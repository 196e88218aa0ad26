//! The answer to `POST /track`: what a tracker and the DHT say, as one list
//! of peers. Pure.

use std::collections::HashMap;

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::Tracked;
use super::entry::{DHT, result_json};
use crate::storage::history::TrackedPeer;
use crate::web::answer::Refused;

/// What came of one question.
#[derive(Debug)]
pub(in crate::web) struct Answer {
    /// Of the tracker that answered, or else of the last one; nothing where
    /// only the DHT was asked.
    pub(super) tracker: Option<Tracked>,
    /// Of the DHT; nothing where it was not asked.
    pub(super) dht: Option<Result<Tracked, Refused>>,
    /// Why no tracker could be asked, where the DHT answered.
    pub(super) refused: Option<Refused>,
}

impl Answer {
    /// With its status: an error only where nobody answered.
    pub(in crate::web) fn json(&self) -> (StatusCode, Value) {
        let dht = self.dht.as_ref().map(Result::as_ref);
        let of_dht = dht.and_then(Result::ok);
        let all: Vec<&Tracked> = self.tracker.iter().chain(of_dht).collect();
        let answered: Vec<&Tracked> = all
            .iter()
            .copied()
            .filter(|it| it.entry.error.is_none())
            .collect();
        let Some(main) = answered.first().or(all.first()) else {
            let error = dht.and_then(Result::err);
            let (status, text) = error
                .map_or((StatusCode::BAD_REQUEST, "nobody was asked"), |it| {
                    (it.status, it.text.as_str())
                });
            return (status, json!({ "error": text }));
        };
        let entry = &main.entry;
        let mut value = result_json(entry);
        if answered.is_empty() {
            add(&mut value, json!({ "peer_count": 0 }));
        } else {
            let peers = merged(&answered);
            let left_out: u64 = answered.iter().map(|it| it.left_out()).sum();
            let count = peers.len() as u64 + left_out;
            add(&mut value, json!({ "peers": peers, "peer_count": count }));
        }
        add(
            &mut value,
            json!({
                "info_hash": entry.info_hash.to_string(),
                "tracker_url": entry.tracker_url,
                "timestamp": entry.at.to_string(),
                "next_request": entry.next.to_string(),
                "from_last_result": main.repeated,
                "sources": all.iter().map(|it| it.json()).collect::<Vec<_>>(),
            }),
        );
        if let Some(Err(refused)) = dht {
            add(&mut value, json!({ "dht_error": refused.text }));
        }
        if let Some(refused) = &self.refused {
            add(&mut value, json!({ "tracker_error": refused.text }));
        }
        let status = if answered.is_empty() {
            StatusCode::BAD_GATEWAY
        } else {
            StatusCode::OK
        };
        (status, value)
    }
}

impl Tracked {
    /// `tracker` or `dht`.
    fn source(&self) -> &'static str {
        if self.entry.tracker_url == DHT {
            "dht"
        } else {
            "tracker"
        }
    }

    /// Peers that were named and are not told.
    fn left_out(&self) -> u64 {
        self.entry
            .peer_count
            .saturating_sub(self.entry.peers.len() as u64)
    }

    fn json(&self) -> Value {
        json!({
            "source": self.source(),
            "tracker_url": self.entry.tracker_url,
            "peer_count": self.entry.peer_count,
            "error": self.entry.error,
            "timestamp": self.entry.at.to_string(),
            "next_request": self.entry.next.to_string(),
            "from_last_result": self.repeated,
        })
    }
}

fn add(value: &mut Value, more: Value) {
    if let (Value::Object(fields), Value::Object(more)) = (value, more) {
        fields.extend(more);
    }
}

/// The peers of all answers, each once, with who named it.
fn merged(answered: &[&Tracked]) -> Vec<Value> {
    let mut places: HashMap<(&str, u16), usize> = HashMap::new();
    let mut peers: Vec<(&TrackedPeer, Vec<&str>)> = Vec::new();
    for tracked in answered {
        for peer in &tracked.entry.peers {
            let place = *places
                .entry((&peer.ip, peer.port))
                .or_insert_with(|| peers.len());
            match peers.get_mut(place) {
                // A tracker may name one peer twice.
                Some((_, sources)) if sources.contains(&tracked.source()) => {}
                Some((_, sources)) => sources.push(tracked.source()),
                None => peers.push((peer, vec![tracked.source()])),
            }
        }
    }
    let told = peers.into_iter().map(|(peer, sources)| {
        let mut value = json!(peer);
        add(&mut value, json!({ "sources": sources }));
        value
    });
    told.collect()
}
