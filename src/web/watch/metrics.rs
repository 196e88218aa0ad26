//! `GET /metrics`: the state in the text format of Prometheus. Pure but for
//! the handler.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{Response, StatusCode};
use axum::response::IntoResponse;

use super::RunState;
use crate::live::LiveFigures;
use crate::storage::overview::TorrentOverview;
use crate::web::answer::typed;
use crate::web::app::App;

/// The version that Prometheus asks for.
const KIND: &str = "text/plain; version=0.0.4; charset=utf-8";

/// `GET /metrics`.
pub(in crate::web) async fn metrics(State(app): State<Arc<App>>) -> Response<Body> {
    match app.watch.state(&app.jobs).await {
        Ok(state) => typed(StatusCode::OK, KIND, text(&state)),
        Err(refused) => refused.into_response(),
    }
}

/// A figure of a run: name, kind, help, value.
type Metric = (
    &'static str,
    &'static str,
    &'static str,
    fn(&LiveFigures) -> u64,
);

/// Figures without labels.
const PLAIN: [Metric; 12] = [
    (
        "btda_contacts_active",
        "gauge",
        "Contacts in progress.",
        |it| it.contacts_active,
    ),
    (
        "btda_callers_active",
        "gauge",
        "Callers being evaluated.",
        |it| it.callers_active,
    ),
    ("btda_contact_threads", "gauge", "Contact threads.", |it| {
        it.workers as u64
    }),
    (
        "btda_queue_peers",
        "gauge",
        "Peers that wait for a contact.",
        |it| it.queue as u64,
    ),
    (
        "btda_rows_stored_total",
        "counter",
        "Rows stored, changes of rows included.",
        |it| it.rows,
    ),
    (
        "btda_rows_lost_total",
        "counter",
        "Rows lost for good.",
        |it| it.lost,
    ),
    ("btda_rows_spooled", "gauge", "Rows in spool files.", |it| {
        it.spooled
    }),
    (
        "btda_records_waiting",
        "gauge",
        "Records that wait for the writer.",
        |it| it.unwritten as u64,
    ),
    (
        "btda_log_warnings_total",
        "counter",
        "Log lines of level warning and up.",
        |it| it.warnings,
    ),
    (
        "btda_threads_ended_early_total",
        "counter",
        "Threads that ended before their time.",
        |it| it.threads_ended_early,
    ),
    (
        "btda_trackers_asked",
        "gauge",
        "Trackers asked, once for each torrent.",
        |it| it.trackers_asked as u64,
    ),
    (
        "btda_trackers_failing",
        "gauge",
        "Trackers that fail now.",
        |it| it.trackers_failing as u64,
    ),
];

/// All metrics.
fn text(state: &RunState) -> String {
    let mut page = Page(String::new());
    if let Some(live) = &state.live {
        page.outcomes(
            "btda_contacts_total",
            "Outgoing contacts by outcome.",
            live.contacts_counted,
            live.contacts_failed,
        );
        page.outcomes(
            "btda_callers_total",
            "Callers by outcome.",
            live.callers_counted,
            live.callers_failed,
        );
        for (name, kind, help, value) in PLAIN {
            page.family(name, kind, help);
            page.sample(name, &[], value(live));
        }
    }
    let stored = &state.stored.overview;
    page.torrents(
        "btda_confirmed_downloads",
        "Confirmed downloads stored.",
        &stored.torrents,
        |it| it.confirmed,
    );
    page.torrents("btda_peers", "Peers stored.", &stored.torrents, |it| {
        it.peers
    });
    page.family(
        "btda_attempts",
        "gauge",
        "Attempts stored by event and reason.",
    );
    for it in &stored.outcomes {
        page.sample(
            "btda_attempts",
            &[("event", &it.event), ("reason", &it.reason)],
            it.count,
        );
    }
    page.0
}

struct Page(String);

impl Page {
    fn outcomes(&mut self, name: &str, help: &str, counted: u64, failed: u64) {
        self.family(name, "counter", help);
        self.sample(name, &[("outcome", "counted")], counted);
        self.sample(name, &[("outcome", "failed")], failed);
    }

    fn torrents(
        &mut self,
        name: &str,
        help: &str,
        torrents: &[TorrentOverview],
        value: fn(&TorrentOverview) -> u64,
    ) {
        self.family(name, "gauge", help);
        for torrent in torrents {
            let id = torrent.id.to_string();
            self.sample(
                name,
                &[("torrent", &id), ("info_hash", &torrent.info_hash)],
                value(torrent),
            );
        }
    }

    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a String cannot fail, here and below.
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: u64) {
        self.0.push_str(name);
        for (place, (label, text)) in labels.iter().enumerate() {
            self.0.push(if place == 0 { '{' } else { ',' });
            let _ = write!(self.0, "{label}=\"{}\"", escaped(text));
        }
        if !labels.is_empty() {
            self.0.push('}');
        }
        let _ = writeln!(self.0, " {value}");
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::overview::{OutcomeCount, Overview};
    use crate::web::watch::Stored;

    #[test]
    fn the_text_format_of_prometheus() {
        let overview = Overview {
            torrents: vec![TorrentOverview {
                id: 1,
                info_hash: "ab".to_owned(),
                confirmed: 7,
                ..TorrentOverview::default()
            }],
            outcomes: vec![OutcomeCount {
                event: "First contact".to_owned(),
                reason: "say \"no\"\\\n".to_owned(),
                count: 2,
            }],
            ..Overview::default()
        };
        let state = RunState {
            name: "a".to_owned(),
            live: None,
            notices: Vec::new(),
            stored: Arc::new(Stored::of(overview)),
        };
        let text = text(&state);
        assert!(text.contains("# TYPE btda_confirmed_downloads gauge\nbtda_confirmed_downloads{torrent=\"1\",info_hash=\"ab\"} 7\n"));
        assert!(
            text.contains(
                "btda_attempts{event=\"First contact\",reason=\"say \\\"no\\\"\\\\\\n\"} 2\n"
            ),
            "{text}"
        );
    }
}
