//! A swarm over time: as seen by one tracker, or by all who were asked.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{Response, StatusCode};
use axum::response::IntoResponse;

use crate::model::InfoHash;
use crate::storage::StorageError;
use crate::storage::history::{History, TrackEntry};
use crate::web::answer::{Refused, page, typed};
use crate::web::app::App;
use crate::web::input::field;
use crate::web::pages::SwarmPage;
use crate::web::track::entry::{DHT, unstored};

/// Points of a curve.
const POINTS_MAX: u32 = 2000;

/// Trackers that are compared, the DHT included.
const SOURCES_MAX: u32 = 8;

/// A panel: its title, and curves by name.
type Panel = (&'static str, Vec<(String, Vec<(f64, f64)>)>);

/// `GET /reports/swarm`.
pub(in crate::web) async fn swarm(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
) -> Response<Body> {
    let info_hash = match hash_in(query.as_deref()) {
        Ok(info_hash) => info_hash,
        Err(refused) => return refused.into_response(),
    };
    let tracking = Arc::clone(&app.tracking);
    let read = move || tracking.history.sources(info_hash, 100);
    let sources = match app.jobs.run(read).await {
        Ok(Ok(sources)) => sources,
        Ok(Err(error)) => return unstored(&error).into_response(),
        Err(refused) => return refused.into_response(),
    };
    let query = |url: &str| {
        url::form_urlencoded::Serializer::new(String::new())
            .append_pair("info_hash", &info_hash.to_string())
            .append_pair("tracker_url", url)
            .finish()
    };
    let filled = SwarmPage {
        info_hash: info_hash.to_string(),
        sources: sources
            .into_iter()
            .map(|(url, answers)| (name_of(&url), answers, query(&url)))
            .collect(),
    };
    page(StatusCode::OK, &filled)
}

/// `GET /reports/chart.svg`: one swarm over time, at the tracker
/// `tracker_url`, or at all of them.
pub(in crate::web) async fn chart(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
) -> Response<Body> {
    let tracking = Arc::clone(&app.tracking);
    let tracker_url = field(query.as_deref(), "tracker_url");
    let info_hash = match hash_in(query.as_deref()) {
        Ok(info_hash) => info_hash,
        Err(refused) => return refused.into_response(),
    };
    let draw = move || {
        let history = &tracking.history;
        let (title, panels) = if tracker_url.is_empty() {
            ("One swarm", of_all(history, info_hash)?)
        } else {
            let panels = of_one(history, info_hash, &tracker_url)?;
            ("One swarm at one tracker", panels)
        };
        let panels: Vec<_> = panels
            .iter()
            .map(|(title, curves)| {
                let curves = curves.iter();
                let curves = curves.map(|(name, points)| (name.as_str(), points.clone()));
                (*title, curves.collect())
            })
            .collect();
        Ok(crate::report::curves(title, &panels))
    };
    match app.jobs.run(draw).await {
        Ok(Ok(Ok(svg))) => typed(StatusCode::OK, "image/svg+xml", svg),
        Ok(Ok(Err(error))) => {
            log::error!("a chart cannot be drawn: {error}");
            let text = "the chart cannot be drawn";
            Refused::new(StatusCode::INTERNAL_SERVER_ERROR, text).into_response()
        }
        Ok(Err(error)) => unstored(&error).into_response(),
        Err(refused) => refused.into_response(),
    }
}

fn hash_in(query: Option<&str>) -> Result<InfoHash, Refused> {
    let text = "info_hash: an info hash has 40 hexadecimal digits";
    let parsed = field(query, "info_hash").parse();
    parsed.map_err(|_| Refused::new(StatusCode::BAD_REQUEST, text))
}

fn name_of(url: &str) -> String {
    if url == DHT { "DHT" } else { url }.to_owned()
}

fn points(course: &[TrackEntry], figure: fn(&TrackEntry) -> f64) -> Vec<(f64, f64)> {
    let hours = |entry: &TrackEntry| entry.at.millis() as f64 / 3_600_000.0;
    course
        .iter()
        .map(|entry| (hours(entry), figure(entry)))
        .collect()
}

fn of_one(
    history: &History,
    info_hash: InfoHash,
    tracker_url: &str,
) -> Result<Vec<Panel>, StorageError> {
    let course = history.course(info_hash, tracker_url, POINTS_MAX)?;
    let curve = |name: &str, figure| (name.to_owned(), points(&course, figure));
    if tracker_url == DHT {
        let peers = curve("peers", |entry| entry.peer_count as f64);
        return Ok(vec![("peers named by the DHT", vec![peers])]);
    }
    let swarm = vec![
        curve("seeders", |entry| f64::from(entry.complete)),
        curve("leechers", |entry| f64::from(entry.incomplete)),
    ];
    let downloads = vec![curve("downloads", |entry| f64::from(entry.downloaded))];
    Ok(vec![
        ("seeders and leechers", swarm),
        ("downloads registered by the tracker", downloads),
    ])
}

fn of_all(history: &History, info_hash: InfoHash) -> Result<Vec<Panel>, StorageError> {
    let (mut peers, mut seeders) = (Vec::new(), Vec::new());
    let mut sources = history.sources(info_hash, SOURCES_MAX)?;
    // Last, so that a tracker has one colour in both panels.
    sources.sort_by_key(|(url, _)| url == DHT);
    for (url, _) in sources {
        let course = history.course(info_hash, &url, POINTS_MAX)?;
        let name = name_of(&url);
        peers.push((
            name.clone(),
            points(&course, |entry| entry.peer_count as f64),
        ));
        if url != DHT {
            seeders.push((name, points(&course, |entry| f64::from(entry.complete))));
        }
    }
    Ok(vec![
        ("peers named", peers),
        ("seeders counted by the tracker", seeders),
    ])
}
