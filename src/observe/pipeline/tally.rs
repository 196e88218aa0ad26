//! Counts of the minutes that are not stored yet. Pure.

use crate::model::Timestamp;
use crate::observe::live::country_code;
use crate::observe::record::{Heard, Record};
use crate::storage::geo::Place;
use crate::storage::observatory::{Batch, EventKey, PlaceKey};

/// Rows from which on the batch is stored at once.
const LARGE: usize = 50_000;

/// Rows from which on torrents are not told apart any more: the disk takes
/// nothing, and memory has an end.
const FULL: usize = 400_000;

/// Counts that wait.
#[derive(Debug, Default)]
pub struct Tally {
    batch: Batch,
}

impl Tally {
    /// Counts a record.
    pub fn record(&mut self, record: &Record) {
        let minute = minute_of(record.at());
        let place = record.place();
        let full = self.batch.events.len() >= FULL;
        let key = EventKey {
            minute,
            kind: record.kind().as_str(),
            country: country_code(place),
            info_hash: (!full).then(|| record.info_hash()),
        };
        *self.batch.events.entry(key).or_default() += 1;
        if let Some(key) = place.and_then(|place| place_key(minute, place))
            && (self.batch.places.len() < FULL || self.batch.places.contains_key(&key))
        {
            *self.batch.places.entry(key).or_default() += 1;
        }
        if let Record::Heard(heard) = record {
            let client = (minute, letters(heard));
            *self.batch.clients.entry(client).or_default() += 1;
        }
    }

    /// Counts what is no record.
    pub fn count(&mut self, at: Timestamp, what: &'static str, count: u64) {
        let counted = self.batch.tallies.entry((minute_of(at), what));
        *counted.or_default() += count;
    }

    /// The rows themselves, to be stored and then cleared.
    pub const fn batch(&mut self) -> &mut Batch {
        &mut self.batch
    }

    /// Whether it should be stored soon.
    pub fn is_large(&self) -> bool {
        (LARGE..FULL).contains(&self.batch.events.len())
    }
}

/// Whole minutes since 1970.
pub(crate) const fn minute_of(at: Timestamp) -> i64 {
    at.millis().div_euclid(60_000)
}

fn place_key(minute: i64, place: &Place) -> Option<PlaceKey> {
    let latitude = PlaceKey::rounded(place.latitude?)?;
    let longitude = PlaceKey::rounded(place.longitude?)?;
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    Some(PlaceKey {
        minute,
        ten_thousandths: (latitude, longitude),
        country: text(&place.country_iso),
        subdivision: text(&place.subdivision),
        city: text(&place.city),
    })
}

/// The two letters of a program; empty when they say nothing. At most some
/// 9,000 pairs, so memory is bounded.
fn letters(heard: &Heard) -> String {
    let version = heard.version.as_deref().unwrap_or_default();
    let two = version.get(..2).unwrap_or_default();
    if two.iter().all(u8::is_ascii_graphic) {
        String::from_utf8_lossy(two).into_owned()
    } else {
        String::new()
    }
}
