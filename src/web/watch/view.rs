//! The pages of a run, and its state as JSON.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{Response, StatusCode};
use axum::response::IntoResponse;

use crate::storage::overview::{TorrentOverview, TrackerOverview};
use crate::web::answer::{Refused, json, page, typed};
use crate::web::app::App;
use crate::web::pages::{TorrentPage, TrackerPage, WatchPage};

/// `GET /watch`.
pub(in crate::web) async fn overview(State(app): State<Arc<App>>) -> Response<Body> {
    match app.watch.state(&app.jobs).await {
        Ok(state) => page(StatusCode::OK, &WatchPage { state: Some(state) }),
        Err(refused) if refused.status == StatusCode::NOT_FOUND => {
            page(StatusCode::OK, &WatchPage { state: None })
        }
        Err(refused) => refused.into_response(),
    }
}

/// `GET /api/watch`.
pub(in crate::web) async fn api(State(app): State<Arc<App>>) -> Response<Body> {
    match app.watch.state(&app.jobs).await {
        Ok(state) => json(StatusCode::OK, &state),
        Err(refused) => refused.into_response(),
    }
}

/// `GET /watch/torrents/{number}`.
pub(in crate::web) async fn torrent(
    State(app): State<Arc<App>>,
    Path(number): Path<String>,
) -> Response<Body> {
    let state = match app.watch.state(&app.jobs).await {
        Ok(state) => state,
        Err(refused) => return refused.into_response(),
    };
    let stored = &state.stored.overview;
    let found = stored
        .torrents
        .iter()
        .find(|torrent| torrent.id.to_string() == number);
    let Some(torrent) = found.cloned() else {
        return Refused::new(StatusCode::NOT_FOUND, "there is no such torrent in the run")
            .into_response();
    };
    let of_it = |number: u32| number == torrent.id;
    let trackers = stored
        .trackers
        .iter()
        .zip(&state.stored.tracker_names)
        .enumerate();
    let filled = TorrentPage {
        live: state.live.is_some(),
        crossings: stored
            .crossings
            .iter()
            .filter(|it| of_it(it.torrent))
            .cloned()
            .collect(),
        trackers: trackers
            .filter(|(_, (it, _))| of_it(it.torrent))
            .map(|(place, (it, name))| (place + 1, name.clone(), it.clone()))
            .collect(),
        torrent,
    };
    page(StatusCode::OK, &filled)
}

/// `GET /watch/trackers/{number}`: one tracker, with all its torrents.
pub(in crate::web) async fn tracker(
    State(app): State<Arc<App>>,
    Path(number): Path<String>,
) -> Response<Body> {
    let state = match app.watch.state(&app.jobs).await {
        Ok(state) => state,
        Err(refused) => return refused.into_response(),
    };
    let stored = &state.stored;
    let place = number
        .parse()
        .ok()
        .and_then(|number: usize| number.checked_sub(1));
    let Some(name) = place
        .and_then(|place| stored.tracker_names.get(place))
        .cloned()
    else {
        return Refused::new(StatusCode::NOT_FOUND, "there is no such tracker in the run")
            .into_response();
    };
    let all = stored.overview.trackers.iter().zip(&stored.tracker_names);
    let rows: Vec<TrackerOverview> = all
        .filter(|(_, it)| **it == name)
        .map(|(it, _)| it.clone())
        .collect();
    page(
        StatusCode::OK,
        &TrackerPage {
            live: state.live.is_some(),
            name,
            rows,
        },
    )
}

/// `GET /watch/map.svg`: peers by country.
pub(in crate::web) async fn map(State(app): State<Arc<App>>) -> Response<Body> {
    let state = match app.watch.state(&app.jobs).await {
        Ok(state) => state,
        Err(refused) => return refused.into_response(),
    };
    let countries = state.stored.overview.countries.clone();
    let drawn = app.jobs.run(move || {
        let values = countries
            .into_iter()
            .map(|it| (it.country, it.peers as f64))
            .collect();
        crate::report::world_map("Peers by country", "peers", &values)
    });
    match drawn.await {
        Ok(Ok(Some(svg))) => typed(StatusCode::OK, "image/svg+xml", svg),
        Ok(Ok(None)) => {
            Refused::new(StatusCode::NOT_FOUND, "no peer with a known country yet").into_response()
        }
        Ok(Err(error)) => {
            log::error!("the map cannot be drawn: {error}");
            Refused::new(StatusCode::INTERNAL_SERVER_ERROR, "the map cannot be drawn")
                .into_response()
        }
        Err(refused) => refused.into_response(),
    }
}

/// Share of `confirmed` in `reported` in percent, for a torrent's row.
pub(in crate::web) fn share(torrent: &TorrentOverview) -> String {
    percent(torrent.confirmed, torrent.reported.unwrap_or(0))
}

/// Share of `part` in `whole` in percent; nothing of nothing.
pub(in crate::web) fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return String::new();
    }
    format!("{:.0} %", part as f64 / whole as f64 * 100.0)
}

/// A share from 0 to 1 in percent.
pub(in crate::web) fn of_one(share: Option<&f64>) -> String {
    share.map_or_else(|| "-".to_owned(), |share| format!("{:.0} %", share * 100.0))
}

/// A number that may be unknown.
pub(in crate::web) fn known(number: Option<&impl std::fmt::Display>) -> String {
    number.map_or_else(String::new, ToString::to_string)
}
