//! `POST /visits`, and where visits stand: as JSON and as events.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, Response, StatusCode};
use axum::response::IntoResponse;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::session::Session;
use crate::model::InfoHash;
use crate::web::answer::{Refused, json};
use crate::web::app::{App, Caller};
use crate::web::input::small_body;
use crate::web::login::too_often;
use crate::web::telling::{NOTHING_NEW, event, stream};

/// Shortest time between two events.
const PAUSE: Duration = Duration::from_millis(250);

/// Without news a comment is sent, to notice who has gone.
const QUIET: Duration = Duration::from_secs(15);

#[derive(Deserialize)]
struct Fields {
    info_hash: String,
}

/// `POST /visits`: begins them, or tells of those that there are.
pub(in crate::web) async fn begin(
    State(app): State<Arc<App>>,
    Extension(Caller(ip)): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Response<Body> {
    let waits = app.questions.lock().take(ip, app.clock.now());
    if let Err(wait) = waits {
        return too_often(wait);
    }
    let begun = match wanted(&headers, body).await {
        Ok(info_hash) => app.visits.begin(info_hash),
        Err(refused) => Err(refused),
    };
    match begun {
        Ok((session, repeated)) => {
            let answer = json!({ "number": session.number, "from_last_result": repeated });
            json(StatusCode::ACCEPTED, &answer)
        }
        Err(refused) => refused.into_response(),
    }
}

async fn wanted(headers: &HeaderMap, body: Body) -> Result<InfoHash, Refused> {
    let kind = headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok());
    // No form of another page can send it.
    if !kind.is_some_and(|kind| kind.starts_with("application/json")) {
        let text = "send application/json";
        return Err(Refused::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, text));
    }
    let bad = |text: String| Refused::new(StatusCode::BAD_REQUEST, text);
    let fields: Fields = serde_json::from_slice(&small_body(body).await?)
        .map_err(|error| bad(format!("no JSON object with info_hash: {error}")))?;
    let info_hash = fields.info_hash.trim().parse();
    info_hash.map_err(|error| bad(format!("info_hash: {error}")))
}

/// `GET /visits/{number}`.
pub(in crate::web) async fn state(
    State(app): State<Arc<App>>,
    Path(number): Path<String>,
) -> Response<Body> {
    match app.visits.of(&number) {
        Some(session) => json(StatusCode::OK, &session.state()),
        None => unknown().into_response(),
    }
}

/// `GET /visits/{number}/events`: the whole state whenever it has changed,
/// until the visits are over.
pub(in crate::web) async fn events(
    State(app): State<Arc<App>>,
    Path(number): Path<String>,
) -> Response<Body> {
    let Some(session) = app.visits.of(&number) else {
        return unknown().into_response();
    };
    let Ok(seat) = Arc::clone(&app.watch.listeners).try_acquire_owned() else {
        let text = "too many watch already: close another page, or read /visits/N";
        return Refused::new(StatusCode::SERVICE_UNAVAILABLE, text).into_response();
    };
    let (send, receive) = mpsc::channel(1);
    let teller = async move {
        let mut changes = session.changes();
        for number in 1.. {
            // Whatever changes from here on is told by the next event.
            changes.mark_unchanged();
            let (over, text) = told(&session);
            if send.send(event(number, "visits", &text)).await.is_err() || over {
                break;
            }
            sleep(PAUSE).await;
            while timeout(QUIET, changes.changed()).await.is_err() {
                if send.send(NOTHING_NEW.into()).await.is_err() {
                    return;
                }
            }
        }
        drop(seat);
    };
    stream(receive, teller)
}

fn told(session: &Session) -> (bool, String) {
    let over = session.is_over();
    let text = serde_json::to_string(&session.state());
    (over, text.unwrap_or_default())
}

fn unknown() -> Refused {
    let text = "there are no visits of this number; the reports have what they found";
    Refused::new(StatusCode::NOT_FOUND, text)
}
