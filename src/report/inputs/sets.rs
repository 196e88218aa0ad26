//! The sets file: which torrent is in which set (contract section 8).

use std::collections::BTreeMap;
use std::path::Path;

use super::files::{read_text, unreadable};
use crate::outside::outside_text;
use crate::report::ReportError;

/// Reads a sets file: header `torrent,set`, then one line per torrent.
pub fn sets(path: &Path) -> Result<BTreeMap<u32, String>, ReportError> {
    let text = read_text(path)?;
    let mut lines = csv::Reader::from_reader(text.as_bytes());
    let wrong = |error: csv::Error| unreadable(path, &error.to_string());
    let header = lines.headers().map_err(wrong)?;
    if header != ["torrent", "set"].as_slice() {
        return Err(unreadable(path, "its first line is not torrent,set"));
    }
    let mut sets = BTreeMap::new();
    for line in lines.records() {
        let line = line.map_err(wrong)?;
        let torrent = line.get(0).and_then(|it| it.trim().parse().ok());
        let set = outside_text(line.get(1).unwrap_or_default().as_bytes());
        match torrent.filter(|_| !set.is_empty()) {
            Some(torrent) => sets.insert(torrent, set),
            None => return Err(unreadable(path, "a line is not NUMBER,NAME")),
        };
    }
    Ok(sets)
}
