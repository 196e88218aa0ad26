//! `GET /` and `POST /track`.

use std::future::{Ready, ready};
use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, Response, StatusCode};
use axum::response::IntoResponse;

use super::answer::{Refused, json, page};
use super::app::{App, Caller};
use super::input::{body_within, field, small_body};
use super::login::too_often;
use super::pages::StartPage;
use super::track::question::{DEFAULT_PORT, Question, of_json, of_torrent};

/// Largest torrent file; those beyond have so many pieces that their hash and
/// tracker are sooner copied.
const TORRENT_MAX: usize = 2 * 1024 * 1024;

/// What a torrent file comes as. Like JSON, no form of another page can send it.
const TORRENT: &str = "application/x-bittorrent";

/// `GET /`.
pub(super) fn start(State(app): State<Arc<App>>) -> Ready<Response<Body>> {
    let filled = StartPage {
        port: DEFAULT_PORT,
        store_addresses: app.stores_addresses,
        dht: app.tracking.knows_dht(),
        visits: app.visits.most(),
    };
    ready(page(StatusCode::OK, &filled))
}

/// `POST /track`.
pub(super) async fn track(
    State(app): State<Arc<App>>,
    Extension(Caller(ip)): Extension<Caller>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Response<Body> {
    let waits = app.questions.lock().take(ip, app.clock.now());
    if let Err(wait) = waits {
        return too_often(wait);
    }
    let asked = match read(&headers, query.as_deref(), body).await {
        Ok(question) => app.tracking.answer(&app.asking, question).await,
        Err(refused) => Err(refused),
    };
    match asked {
        Ok(answer) => {
            let (status, answer) = answer.json();
            json(status, &answer)
        }
        Err(refused) => refused.into_response(),
    }
}

async fn read(headers: &HeaderMap, query: Option<&str>, body: Body) -> Result<Question, Refused> {
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    let kind = kind
        .and_then(|kind| kind.split(';').next())
        .unwrap_or_default()
        .trim();
    if kind.eq_ignore_ascii_case("application/json") {
        of_json(&small_body(body).await?)
    } else if kind.eq_ignore_ascii_case(TORRENT) {
        let port = field(query, "port");
        let dht = field(query, "dht") == "1";
        of_torrent(&body_within(body, TORRENT_MAX).await?, Some(&port), dht)
    } else {
        Err(Refused::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            format!("send application/json, or a torrent file as {TORRENT}"),
        ))
    }
}
