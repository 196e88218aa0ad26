//! Where an address is, from an mmdb file (GeoIP2/GeoLite2 City or Country,
//! or the flat schema). Called by the ledger on the writer thread, once per
//! peer; the address itself goes no further.

mod continent;
mod place;

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use maxminddb::{LookupResult, PathElement, Reader};
use serde::Deserialize;

use super::text;
use crate::model::Timestamp;

pub use place::{FindPlace, Place};

/// What is known of an address; everything may be unknown.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Location {
    /// Two-letter continent code.
    pub continent: Option<String>,
    /// ISO 3166-1 alpha-2.
    pub country: Option<String>,
    /// Degrees, -90 to 90.
    pub latitude: Option<f64>,
    /// Degrees, -180 to 180.
    pub longitude: Option<f64>,
    /// English name.
    pub city: Option<String>,
    /// Radius around the coordinates.
    pub accuracy_km: Option<u16>,
}

/// Looks addresses up.
pub trait Locate: Send {
    /// The location of `ip`; unknown or unreadable is all `None`.
    fn locate(&self, ip: IpAddr) -> Location;

    /// `ip` has become the peer `id`; by default this matters to nobody.
    fn stored(&self, _id: i64, _ip: IpAddr) {}
}

/// Knows no place.
#[derive(Debug, Clone, Copy)]
pub struct Nowhere;

impl Locate for Nowhere {
    fn locate(&self, _: IpAddr) -> Location {
        Location::default()
    }
}

/// Why a geolocation database cannot be used; the run goes on without.
#[derive(Debug)]
pub enum GeoError {
    /// The file does not exist.
    Absent(PathBuf),
    /// The file cannot be read, or is no mmdb file.
    Unusable(PathBuf, String),
}

impl fmt::Display for GeoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent(path) => write!(
                f,
                "no geolocation database at {}: countries and coordinates stay unknown; put one there or correct storage.geolocation_database",
                path.display()
            ),
            Self::Unusable(path, reason) => write!(
                f,
                "geolocation database {} cannot be used ({reason}): countries and coordinates stay unknown; fetch it again",
                path.display()
            ),
        }
    }
}

impl std::error::Error for GeoError {}

/// An opened geolocation database.
pub struct GeoDatabase {
    reader: Reader<Vec<u8>>,
}

impl GeoDatabase {
    /// Reads the file at `path` into memory.
    pub fn open(path: &Path) -> Result<Self, GeoError> {
        let unusable = |reason| GeoError::Unusable(path.to_owned(), reason);
        let bytes = read(path).map_err(|error| {
            if error.kind() == io::ErrorKind::NotFound {
                GeoError::Absent(path.to_owned())
            } else {
                unusable(error.to_string())
            }
        })?;
        Self::parse(bytes).map_err(unusable)
    }

    /// A database from the bytes of its file; the error is the reason why it
    /// is none.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, String> {
        Reader::from_source(bytes)
            .map(|reader| Self { reader })
            .map_err(|error| text::clean(&error.to_string(), 200))
    }

    /// Kind of database as it names itself.
    pub fn kind(&self) -> String {
        text::clean(&self.reader.metadata().database_type, 100)
    }

    /// When it was built.
    pub fn built(&self) -> Timestamp {
        let seconds = i64::try_from(self.reader.metadata().build_epoch).unwrap_or(i64::MAX);
        Timestamp(seconds.saturating_mul(1000))
    }

    /// Whole days between its making and `now`, 0 if it is of the future.
    pub fn age_days(&self, now: Timestamp) -> u64 {
        let millis = now.millis().saturating_sub(self.built().millis());
        u64::try_from(millis).unwrap_or(0) / MILLIS_PER_DAY
    }
}

/// The whole file. Kind and size are asked before it is opened: a FIFO would
/// wait for a writer, a device never end.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    if metadata.len() > SIZE_MAX {
        return Err(io::Error::other(format!(
            "larger than {} MiB",
            SIZE_MAX >> 20
        )));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(SIZE_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

impl Locate for GeoDatabase {
    fn locate(&self, ip: IpAddr) -> Location {
        let Ok(found) = self.reader.lookup(ip) else {
            return Location::default();
        };
        let text = |paths: &[&[&str]]| paths.iter().find_map(|path| value::<String>(&found, path));
        let degrees = |paths: &[&[&str]], most: f64| {
            paths
                .iter()
                .find_map(|path| number(&found, path))
                .filter(|degrees| degrees.abs() <= most)
        };
        let country = text(&[&["country", "iso_code"], &["country_code"]]).filter(is_country_code);
        let continent = text(&[&["continent", "code"], &["continent_code"]])
            .filter(is_country_code)
            .or_else(|| continent::of(country.as_deref()?).map(str::to_owned));
        Location {
            continent,
            country,
            latitude: degrees(&[&["location", "latitude"], &["latitude"]], 90.0),
            longitude: degrees(&[&["location", "longitude"], &["longitude"]], 180.0),
            city: text(&[&["city", "names", "en"], &["city"]])
                .map(|city| text::clean(&city, text::NAME_LIMIT))
                .filter(|city| !city.is_empty()),
            accuracy_km: value(&found, &["location", "accuracy_radius"]),
        }
    }
}

/// The value at `path`; a missing key and a value of another type are both
/// `None`, as the schemas use the same keys for different things.
fn value<'a, T: Deserialize<'a>>(found: &LookupResult<'a, Vec<u8>>, path: &[&str]) -> Option<T> {
    let path: Vec<PathElement<'_>> = path.iter().map(|key| PathElement::Key(key)).collect();
    found.decode_path(&path).ok().flatten()
}

/// The text at `path` in the first entry of the list `list`, made harmless.
fn value_in_first(found: &LookupResult<'_, Vec<u8>>, list: &str, path: &[&str]) -> Option<String> {
    let start = [PathElement::Key(list), PathElement::Index(0)];
    let rest = path.iter().map(|key| PathElement::Key(key));
    let path: Vec<PathElement<'_>> = start.into_iter().chain(rest).collect();
    let found: String = found.decode_path(&path).ok().flatten()?;
    Some(text::clean(&found, text::NAME_LIMIT)).filter(|text| !text.is_empty())
}

/// The number at `path`; the flat schema has single precision, the others
/// double.
fn number(found: &LookupResult<'_, Vec<u8>>, path: &[&str]) -> Option<f64> {
    value::<f64>(found, path).or_else(|| value::<f32>(found, path).map(f64::from))
}

/// Whether that may be a country (ISO 3166-1 alpha-2).
pub(crate) fn is_country_code(code: &String) -> bool {
    matches!(code.as_bytes(), [a, b] if a.is_ascii_uppercase() && b.is_ascii_uppercase())
}

const MILLIS_PER_DAY: u64 = 24 * 3600 * 1000;

/// Largest database that is read; the largest on the market has some 0.5 GiB.
const SIZE_MAX: u64 = 2 << 30;

#[cfg(test)]
#[path = "geo/tests.rs"]
mod tests;
