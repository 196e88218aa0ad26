//! The map page, the statistics page, and what programs read.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::header::ACCEPT;
use axum::http::{HeaderMap, Response, StatusCode};
use axum::response::IntoResponse;

use super::pages::{MapPage, NothingPage, StatisticsPage};
use super::statistics::Window;
use crate::web::answer::{Refused, json, page, typed};
use crate::web::app::App;
use crate::web::input::field;
use crate::web::telling::{Tell, line_of, tell};

/// Whether whoever asks is a browser: programs get JSON.
pub(super) fn wants_page(headers: &HeaderMap) -> bool {
    let kinds = headers.get(ACCEPT).and_then(|kinds| kinds.to_str().ok());
    kinds.is_some_and(|kinds| kinds.contains("text/html"))
}

/// An error as a page: without an observatory one that says how to get one.
pub(super) fn refused_page(refused: Refused) -> Response<Body> {
    let filled = NothingPage { text: refused.text };
    page(refused.status, &filled)
}

/// `GET /observatory`.
pub(in crate::web) async fn map(State(app): State<Arc<App>>) -> Response<Body> {
    match app.observing.sight(&app.jobs).await {
        Ok(sight) => page(StatusCode::OK, &MapPage::of(&sight)),
        Err(refused) => refused_page(refused),
    }
}

/// `GET /api/observatory`.
pub(in crate::web) async fn api(State(app): State<Arc<App>>) -> Response<Body> {
    match app.observing.sight(&app.jobs).await {
        Ok(sight) => json(StatusCode::OK, sight.as_ref()),
        Err(refused) => refused.into_response(),
    }
}

/// `GET /reMap`: the heat map as in 2018.
pub(in crate::web) async fn heat_map(State(app): State<Arc<App>>) -> Response<Body> {
    match app.observing.heat_map(&app.jobs).await {
        Ok(map) => typed(StatusCode::OK, "application/json", map.as_ref().clone()),
        Err(refused) => refused.into_response(),
    }
}

/// `GET /observatory/statistics`.
pub(in crate::web) async fn statistics(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
) -> Response<Body> {
    let window = Window::of(&field(query.as_deref(), "window"));
    match app.observing.statistics(&app.jobs, window).await {
        Ok(found) => page(StatusCode::OK, &StatisticsPage::of(&found, window)),
        Err(refused) => refused_page(refused),
    }
}

/// `GET /observatory/events`.
pub(in crate::web) async fn events(State(app): State<Arc<App>>) -> Response<Body> {
    let listeners = Arc::clone(&app.watch.listeners);
    tell(Teller(app), &listeners).await
}

/// Tells what the map page shows.
struct Teller(Arc<App>);

impl Tell for Teller {
    async fn state(&self) -> Result<String, Refused> {
        let sight = self.0.observing.sight(&self.0.jobs).await?;
        line_of(sight.as_ref())
    }
}
