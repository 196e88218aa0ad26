//! The two error files of a run (contract sections 6), ours or of 2015.

use std::path::Path;

use csv::{ReaderBuilder, StringRecord};

use super::files::{read_text, unreadable};
use crate::outside::outside_text;
use crate::report::ReportError;
use crate::report::tally::{PeerErrors, TrackerResults};

/// Reads a peer error file: event, reason, count. Lines of one pair add up.
pub fn peer_errors(path: &Path) -> Result<PeerErrors, ReportError> {
    let mut errors = PeerErrors::new();
    each_line(path, 3, |cells, count| {
        let [event, reason] = [0, 1].map(|place| clean(cells, place));
        let sum = errors.entry((event, reason)).or_default();
        *sum = sum.saturating_add(count);
        Ok(())
    })?;
    Ok(errors)
}

/// Reads a tracker error file: torrent, URL, result, reason, count.
pub fn tracker_results(path: &Path) -> Result<TrackerResults, ReportError> {
    let mut results = TrackerResults::new();
    each_line(path, 5, |cells, count| {
        let torrent = cells.get(0).and_then(|it| it.trim().parse().ok());
        let torrent: u32 = torrent.ok_or("the first field is no torrent number")?;
        let [url, result, reason] = [1, 2, 3].map(|place| clean(cells, place));
        let sum = results.entry((torrent, url, result, reason)).or_default();
        *sum = sum.saturating_add(count);
        Ok(())
    })?;
    Ok(results)
}

fn clean(cells: &StringRecord, place: usize) -> String {
    outside_text(cells.get(place).unwrap_or_default().as_bytes())
}

/// `take` for each line that is not empty, with the count in its last field.
fn each_line(
    path: &Path,
    fields: usize,
    mut take: impl FnMut(&StringRecord, u64) -> Result<(), &'static str>,
) -> Result<(), ReportError> {
    let text = read_text(path)?;
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(text.as_bytes());
    for line in reader.records() {
        let cells = line.map_err(|error| unreadable(path, &error.to_string()))?;
        let number = cells.position().map_or(0, csv::Position::line);
        let wrong = |reason: &str| unreadable(path, &format!("line {number}: {reason}"));
        if cells.len() != fields {
            let text = format!("{} fields where {fields} are expected", cells.len());
            return Err(wrong(&text));
        }
        let count = cells.get(fields - 1).and_then(|it| it.trim().parse().ok());
        let count: u64 = count.ok_or_else(|| wrong("the last field is no count"))?;
        take(&cells, count).map_err(wrong)?;
    }
    Ok(())
}
