//! All that a database of places says of an address, as the records of the
//! observatory want it. Called on its writer thread.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{GeoDatabase, is_country_code, number, value};
use crate::storage::text;

/// The place of an address, in the keys of a record; what is unknown is left
/// out.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Place {
    /// ISO 3166-1 alpha-2, two upper-case letters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country_iso: Option<String>,
    /// English name of the country.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// ISO 3166-2 without the country.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub_iso: Option<String>,
    /// English name of the largest subdivision.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subdivision: Option<String>,
    /// English name of the city.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub city: Option<String>,
    /// Degrees, -90 to 90.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latitude: Option<f64>,
    /// Degrees, -180 to 180.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub longitude: Option<f64>,
    /// Radius around the coordinates, in kilometres.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<u16>,
}

/// Finds places.
pub trait FindPlace: Send {
    /// The place of `ip`, if anything is known of it.
    fn place(&self, ip: IpAddr) -> Option<Place>;
}

impl FindPlace for super::Nowhere {
    fn place(&self, _: IpAddr) -> Option<Place> {
        None
    }
}

impl FindPlace for GeoDatabase {
    fn place(&self, ip: IpAddr) -> Option<Place> {
        let found = self.reader.lookup(ip).ok()?;
        let texts = |paths: &[&[&str]]| {
            let found = paths
                .iter()
                .find_map(|path| value::<String>(&found, path))?;
            let found = text::clean(&found, text::NAME_LIMIT);
            Some(found).filter(|text| !text.is_empty())
        };
        let degrees = |paths: &[&[&str]], most: f64| {
            let found = paths.iter().find_map(|path| number(&found, path));
            found.filter(|degrees| degrees.abs() <= most)
        };
        // A list: the reader's path takes an index there.
        let subdivision = |key: &[&str]| super::value_in_first(&found, "subdivisions", key);
        let place = Place {
            country_iso: texts(&[&["country", "iso_code"], &["country_code"]])
                .filter(is_country_code),
            country: texts(&[&["country", "names", "en"]]),
            sub_iso: subdivision(&["iso_code"]),
            subdivision: subdivision(&["names", "en"]),
            city: texts(&[&["city", "names", "en"], &["city"]]),
            latitude: degrees(&[&["location", "latitude"], &["latitude"]], 90.0),
            longitude: degrees(&[&["location", "longitude"], &["longitude"]], 180.0),
            accuracy: value(&found, &["location", "accuracy_radius"]),
        };
        (place != Place::default()).then_some(place)
    }
}
