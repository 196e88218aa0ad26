//! What goes on right now, for the status line and the pages.
//!
//! Filled on the thread `observe-write`, read by anybody; the lock is held
//! for a copy only.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::model::Timestamp;
use crate::storage::geo::Place;

/// How long a place stays on the heat map.
pub const SHOWN: Duration = Duration::from_secs(120);

/// Places on the heat map at most; beyond it the oldest go.
const POINTS_MAX: usize = 100_000;

/// Counters since the start, and the last two minutes.
#[derive(Debug, Default)]
pub struct Live {
    /// Queries that came from the nodes, of every kind.
    pub queries: AtomicU64,
    /// Records that were made.
    pub records: AtomicU64,
    /// Queries that the rules passed over.
    pub skipped: AtomicU64,
    /// Records that the block list kept out.
    pub blocked: AtomicU64,
    /// Queries, records and counts that were lost.
    pub lost: AtomicU64,
    /// What the disk refused to take; it is tried again.
    pub refusals: AtomicU64,
    /// Torrents resolved since the start.
    pub resolved: AtomicU64,
    /// Torrents in the index.
    pub indexed: AtomicU64,
    points: Mutex<VecDeque<Point>>,
}

/// Where a record came from.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// When.
    pub at: Timestamp,
    /// Degrees.
    pub latitude: f64,
    /// Degrees.
    pub longitude: f64,
    /// Two upper-case letters, if known.
    pub country: Option<[u8; 2]>,
}

/// Two letters as bytes.
pub fn country_code(place: Option<&Place>) -> Option<[u8; 2]> {
    let code = place?.country_iso.as_deref()?;
    code.as_bytes().try_into().ok()
}

impl Live {
    /// Adds to a counter.
    pub fn add(counter: &AtomicU64, count: u64) {
        counter.fetch_add(count, Ordering::Relaxed);
    }

    /// Reads a counter.
    pub fn count(counter: &AtomicU64) -> u64 {
        counter.load(Ordering::Relaxed)
    }

    /// A record came from `place`.
    pub fn point(&self, at: Timestamp, place: &Place) {
        let (Some(latitude), Some(longitude)) = (place.latitude, place.longitude) else {
            return;
        };
        let country = country_code(Some(place));
        let mut points = self.points.lock();
        if points.len() >= POINTS_MAX {
            points.pop_front();
        }
        points.push_back(Point {
            at,
            latitude,
            longitude,
            country,
        });
    }

    /// Lets points go that are older than [`SHOWN`] at `now`.
    pub fn expire(&self, now: Timestamp) {
        let oldest = now.minus(SHOWN);
        let mut points = self.points.lock();
        while points.pop_front_if(|point| point.at < oldest).is_some() {}
    }

    /// The places of the last two minutes, the oldest first.
    pub fn points(&self) -> Vec<Point> {
        self.points.lock().iter().cloned().collect()
    }

    /// The heat map in the form of 2018: `{coordinates: [{lat, lon,
    /// country}], torrents}`.
    pub fn heat_map(&self) -> Value {
        let points = self.points();
        let coordinates: Vec<Value> = points
            .iter()
            .map(|point| {
                let country = point.country.as_ref();
                let country = country.and_then(|code| std::str::from_utf8(code).ok());
                json!({"lat": point.latitude, "lon": point.longitude, "country": country})
            })
            .collect();
        json!({"coordinates": coordinates, "torrents": Self::count(&self.indexed)})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_two_minutes_are_shown() {
        let live = Live::default();
        let place = Place {
            country_iso: Some("DE".to_owned()),
            latitude: Some(49.5),
            longitude: Some(11.0),
            ..Place::default()
        };
        live.point(Timestamp(0), &place);
        live.point(Timestamp(60_000), &place);
        live.point(Timestamp(60_000), &Place::default());
        live.expire(Timestamp(120_001));
        Live::add(&live.indexed, 7);
        let expected = json!({
            "coordinates": [{"lat": 49.5, "lon": 11.0, "country": "DE"}],
            "torrents": 7,
        });
        assert_eq!(live.heat_map(), expected);
        assert_eq!(live.points().len(), 1);
        for _ in 0..=POINTS_MAX {
            live.point(Timestamp(1), &place);
        }
        assert_eq!(live.points.lock().len(), POINTS_MAX);
    }
}
