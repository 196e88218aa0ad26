//! What was tracked: as a page, as JSON, as files; [`chart`]: over time.

pub(super) mod chart;

use std::fmt::Write as _;
use std::future::{Ready, ready};
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::header::CONTENT_DISPOSITION;
use axum::http::{HeaderValue, Response, StatusCode};
use axum::response::IntoResponse;
use serde_json::{Value, json};

use super::answer::{Refused, page, typed};
use super::app::App;
use super::chunks;
use super::input::field;
use super::pages::{ReportEntry, ReportsPage};
use super::track::entry::{result_json, unstored};
use crate::storage::history::{History, TrackEntry, Wanted};

/// Entries on a page.
const PAGE: u32 = 20;

/// Peers of an entry that the page shows; the files have them all.
pub(super) const PEERS_SHOWN: usize = 50;

/// Entries read at a time for a file.
const BATCH: u32 = 20;

/// Bytes of an answer that are sent at once.
const PIECE: usize = 64 * 1024;

/// What the address of a page says of the wanted entries.
#[derive(Debug, Clone, Default)]
struct Search {
    /// Part of hash or URL.
    q: String,
    /// `answered`, `failed`, or anything else for all.
    state: String,
    /// Page, from 1.
    page: String,
}

impl Search {
    fn of(query: Option<&str>) -> Self {
        Self {
            q: field(query, "q"),
            state: field(query, "state"),
            page: field(query, "page"),
        }
    }

    fn wanted(&self) -> Wanted {
        Wanted {
            text: self.q.trim().to_owned(),
            answered: match self.state.as_str() {
                "answered" => Some(true),
                "failed" => Some(false),
                _ => None,
            },
        }
    }

    /// The same search in an address, percent-encoded.
    fn query(&self) -> String {
        url::form_urlencoded::Serializer::new(String::new())
            .append_pair("q", self.q.trim())
            .append_pair("state", &self.state)
            .finish()
    }
}

/// `GET /reports`.
pub(super) async fn reports(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
) -> Response<Body> {
    let tracking = Arc::clone(&app.tracking);
    let search = Search::of(query.as_deref());
    let wanted = search.wanted();
    let number: u64 = search.page.parse().unwrap_or(1).clamp(1, 1_000_000);
    let read = move || {
        let history = &tracking.history;
        let skip = (number - 1) * u64::from(PAGE);
        Ok((
            history.count(&wanted)?,
            history.entries(&wanted, i64::MAX, (skip, PAGE))?,
        ))
    };
    let (total, entries) = match app.jobs.run(read).await {
        Ok(Ok(found)) => found,
        Ok(Err(error)) => return unstored(&error).into_response(),
        Err(refused) => return refused.into_response(),
    };
    let pages = total.div_ceil(u64::from(PAGE)).max(1);
    let filled = ReportsPage {
        total,
        number,
        pages,
        query: search.query(),
        entries: entries.into_iter().map(ReportEntry::of).collect(),
        q: search.q,
        state: search.state,
    };
    page(StatusCode::OK, &filled)
}

/// `GET /api/reports`: the list of all that is wanted, the newest first.
pub(super) fn api(State(app): State<Arc<App>>, RawQuery(query): RawQuery) -> Ready<Response<Body>> {
    let rows = entry_rows(("[", ",", "]\n"), |entry| entry_json(entry).to_string());
    let wanted = Search::of(query.as_deref()).wanted();
    ready(stream(&app, wanted, rows, "application/json"))
}

/// `GET /export/json`: the same as a file, indented.
pub(super) async fn json_file(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
) -> Response<Body> {
    let rows = entry_rows(("[\n  ", ",\n  ", "\n]\n"), |entry| {
        let text = serde_json::to_string_pretty(&entry_json(entry)).unwrap_or_default();
        text.replace('\n', "\n  ")
    });
    file(
        &app,
        Search::of(query.as_deref()),
        rows,
        ("application/json", "tracker_report.json"),
    )
    .await
}

/// `GET /export/csv`.
pub(super) async fn csv_file(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
) -> Response<Body> {
    let rows = entry_rows((CSV_HEADER, "", ""), csv_row);
    file(
        &app,
        Search::of(query.as_deref()),
        rows,
        ("text/csv; charset=utf-8", "tracker_report.csv"),
    )
    .await
}

/// Text before all entries, between them, and behind; and one entry.
struct Rows {
    around: (&'static str, &'static str, &'static str),
    row: fn(&TrackEntry) -> String,
}

fn entry_rows(
    around: (&'static str, &'static str, &'static str),
    row: fn(&TrackEntry) -> String,
) -> Rows {
    Rows { around, row }
}

async fn file(
    app: &App,
    search: Search,
    rows: Rows,
    (kind, name): (&'static str, &str),
) -> Response<Body> {
    let (tracking, wanted) = (Arc::clone(&app.tracking), search.wanted());
    let counted = {
        let wanted = wanted.clone();
        app.jobs.run(move || tracking.history.count(&wanted)).await
    };
    match counted {
        Ok(Ok(0)) => {
            return Refused::new(StatusCode::NOT_FOUND, "no data to export").into_response();
        }
        Ok(Ok(_)) => {}
        Ok(Err(error)) => return unstored(&error).into_response(),
        Err(refused) => return refused.into_response(),
    }
    let mut answer = stream(app, wanted, rows, kind);
    if let Ok(value) = HeaderValue::try_from(format!("attachment; filename=\"{name}\"")) {
        answer.headers_mut().insert(CONTENT_DISPOSITION, value);
    }
    answer
}

/// Writes entry by entry while they are read, so that no export is in memory
/// as a whole.
fn stream(app: &App, wanted: Wanted, rows: Rows, kind: &'static str) -> Response<Body> {
    let (sender, body) = chunks::channel();
    let tracking = Arc::clone(&app.tracking);
    let write = move || {
        if let Err(error) = write_all(&tracking.history, &wanted, &rows, |text| sender.send(text)) {
            log::error!("{error}");
            // Without its end the file is seen to be cut off.
            sender.fail();
        }
    };
    match app.jobs.write(write) {
        Ok(()) => typed(StatusCode::OK, kind, body),
        Err(refused) => refused.into_response(),
    }
}

fn write_all(
    history: &History,
    wanted: &Wanted,
    rows: &Rows,
    mut send: impl FnMut(String) -> bool,
) -> Result<(), crate::storage::StorageError> {
    let (before, between, behind) = rows.around;
    let (mut below, mut first) = (i64::MAX, true);
    loop {
        let batch = history.entries(wanted, below, (0, BATCH))?;
        let mut text = String::new();
        for entry in &batch {
            text.push_str(if first { before } else { between });
            first = false;
            text.push_str(&(rows.row)(entry));
            below = entry.id;
            if text.len() >= PIECE && !send(std::mem::take(&mut text)) {
                return Ok(());
            }
        }
        if batch.is_empty() {
            text.push_str(if first { before } else { "" });
            text.push_str(behind);
        }
        if !send(text) || batch.is_empty() {
            return Ok(());
        }
    }
}

fn entry_json(entry: &TrackEntry) -> Value {
    json!({
        "timestamp": entry.at.to_string(),
        "info_hash": entry.info_hash.to_string(),
        "tracker_url": entry.tracker_url,
        "response": result_json(entry),
    })
}

const CSV_HEADER: &str = "timestamp,info_hash,tracker_url,peer_count,seeders,leechers,peers_list\n";

fn csv_row(entry: &TrackEntry) -> String {
    let mut peers = String::new();
    for peer in &entry.peers {
        let between = if peers.is_empty() { "" } else { "; " };
        let ip = if peer.ip.contains(':') {
            format!("[{}]", peer.ip)
        } else {
            peer.ip.clone()
        };
        let _ = write!(peers, "{between}{ip}:{}", peer.port);
    }
    let cells = [
        entry.at.to_string(),
        entry.info_hash.to_string(),
        harmless(&entry.tracker_url),
        entry.peer_count.to_string(),
        entry.complete.to_string(),
        entry.incomplete.to_string(),
        harmless(&peers),
    ];
    // With quotes around, no other separator begins a cell.
    let mut writer = csv::WriterBuilder::new()
        .quote_style(csv::QuoteStyle::NonNumeric)
        .from_writer(Vec::new());
    // Writing to memory does not fail.
    let _ = writer.write_record(&cells);
    let line = writer.into_inner().unwrap_or_default();
    String::from_utf8_lossy(&line).into_owned()
}

/// Text that no spreadsheet takes for a formula.
fn harmless(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{InfoHash, Timestamp};
    use crate::storage::history::TrackedPeer;

    fn entry(url: &str, ips: &[&str]) -> TrackEntry {
        let peer = |ip: &&str| TrackedPeer {
            ip: (*ip).to_owned(),
            port: 6881,
            country: None,
            client: None,
            visit: None,
        };
        TrackEntry {
            id: 1,
            at: Timestamp(1_440_960_000_000),
            info_hash: InfoHash::new([1; 20]),
            tracker_url: url.to_owned(),
            peer_count: 7,
            interval: 1800,
            complete: 5,
            incomplete: 2,
            downloaded: 9,
            error: None,
            next: Timestamp(0),
            peers: ips.iter().map(peer).collect(),
        }
    }

    #[test]
    fn csv_is_that_of_the_torrent_peer_tracker() {
        assert_eq!(
            csv_row(&entry(
                "http://t.example/announce",
                &["192.0.2.1", "2001:db8::1"]
            )),
            "\"2015-08-30T18:40:00.000Z\",0101010101010101010101010101010101010101,\"http://t.example/announce\",\
             7,5,2,\"192.0.2.1:6881; [2001:db8::1]:6881\"\n"
        );
    }

    #[test]
    fn no_cell_is_a_formula() {
        for begin in ["=", "+", "-", "@", "\t", "\r"] {
            let text = format!("{begin}cmd|' /C calc'!A0");
            let row = csv_row(&entry(&text, &[]));
            let mut reader = csv::ReaderBuilder::new()
                .has_headers(false)
                .from_reader(row.as_bytes());
            let cells = reader.records().next().unwrap().unwrap();
            assert_eq!(&cells[2], format!("'{text}"));
        }
        assert_eq!(harmless("udp://t.example"), "udp://t.example");
        // Nor does one begin within a cell, whatever separates them elsewhere.
        for between in [";", "\t", "|", "\"", "\n", "\r"] {
            let row = csv_row(&entry(&format!("http://t/?{between}=1"), &[]));
            let cell = format!(",\"http://t/?{}=1\",", between.replace('"', "\"\""));
            assert!(row.contains(&cell), "{row}");
        }
    }
}
