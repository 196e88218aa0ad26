//! Geolocation databases (mmdb files), which people fetch from anywhere.

use std::net::IpAddr;

use btda::model::Timestamp;
use btda::storage::geo::{GeoDatabase, Locate};

use super::input::is_harmless;

/// Reads `data` as a database and looks some addresses up.
pub fn check(data: &[u8]) {
    let Ok(database) = GeoDatabase::parse(data.to_vec()) else {
        return;
    };
    assert!(is_harmless(&database.kind()) && database.kind().len() <= 1_000);
    let _ = database.age_days(Timestamp(0));
    let _ = database.age_days(Timestamp(i64::MAX));
    for ip in [
        IpAddr::from([1, 2, 3, 4]),
        IpAddr::from([127, 0, 0, 1]),
        IpAddr::from([255, 255, 255, 255]),
        IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1]),
    ] {
        let found = database.locate(ip);
        for code in [&found.continent, &found.country].into_iter().flatten() {
            assert!(code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_uppercase()));
        }
        assert!(found.latitude.is_none_or(|degrees| degrees.abs() <= 90.0));
        assert!(found.longitude.is_none_or(|degrees| degrees.abs() <= 180.0));
        assert!(
            found
                .city
                .is_none_or(|city| is_harmless(&city) && city.len() <= 5_000)
        );
    }
}
