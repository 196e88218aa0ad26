//! The routes, and what every request passes first.
//!
//! Thread `web`: nothing here may block.

use std::future::{Ready, ready};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{
    ACCEPT, AUTHORIZATION, CONNECTION, COOKIE, HOST, ORIGIN, TRANSFER_ENCODING, WWW_AUTHENTICATE,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Redirect};
use axum::routing::{get, post};
use parking_lot::Mutex;

use super::access::{Access, bearer};
use super::answer::{Refused, json, protect, typed};
use super::job::Jobs;
use super::observatory::{Observed, Observing, search, torrent, view as sky};
use super::pace::Pace;
use super::studies::{self, Studies};
use super::track::Tracking;
use super::visits::{self, Visits};
use super::watch::{Watch, Watched, events, metrics, view};
use super::{asking, login, reports};
use crate::clock::Clock;
use crate::config::WebSettings;

/// Tries of the token for one address.
const LOGINS: (u32, Duration) = (10, Duration::from_secs(60));

/// What all requests share.
pub(super) struct App {
    /// Who may ask.
    pub(super) access: Access,
    /// Tries of the token.
    pub(super) logins: Mutex<Pace>,
    /// Time.
    pub(super) clock: Arc<dyn Clock>,
    /// Work beside the page's thread, done soon.
    pub(super) jobs: Jobs,
    /// Work that waits for trackers: kept apart, so that nobody who reads
    /// waits behind it.
    pub(super) asking: Jobs,
    /// Trackings asked for.
    pub(super) questions: Mutex<Pace>,
    /// Trackers and the history.
    pub(super) tracking: Arc<Tracking>,
    /// Visits to tracked peers.
    pub(super) visits: Arc<Visits>,
    /// `web.store_addresses`.
    pub(super) stores_addresses: bool,
    /// The run that is shown.
    pub(super) watch: Watch,
    /// Reports of `btda report`.
    pub(super) studies: Arc<Studies>,
    /// The observatory that is shown.
    pub(super) observing: Observing,
}

/// Where a request comes from; put into each by the server.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caller(pub(super) IpAddr);

impl App {
    /// The page behind `access`.
    pub(super) fn new(
        access: Access,
        settings: &WebSettings,
        (tracking, visits, watched, studies): (Arc<Tracking>, Visits, Option<Watched>, Studies),
        clock: Arc<dyn Clock>,
    ) -> Self {
        let (most, time) = LOGINS;
        Self {
            watch: Watch::new(watched, Arc::clone(&clock)),
            studies: Arc::new(studies),
            observing: Observing::new(None, Arc::clone(&clock)),
            access,
            logins: Mutex::new(Pace::new(most, time)),
            clock,
            jobs: Jobs::new(),
            asking: Jobs::new(),
            questions: Mutex::new(Pace::new(
                settings.track_per_minute,
                Duration::from_secs(60),
            )),
            tracking,
            visits: Arc::new(visits),
            stores_addresses: settings.store_addresses,
        }
    }

    /// The same with an observatory.
    pub(super) fn observing(self, observed: Option<Observed>) -> Self {
        Self {
            observing: Observing::new(observed, Arc::clone(&self.clock)),
            ..self
        }
    }
}

/// All routes.
pub(super) fn routes(app: Arc<App>) -> Router {
    Router::new()
        .route("/", get(asking::start))
        .route("/track", post(asking::track))
        .route("/visits", post(visits::request::begin))
        .route("/visits/{number}", get(visits::request::state))
        .route("/visits/{number}/events", get(visits::request::events))
        .route("/reports", get(reports::reports))
        .route("/reports/chart.svg", get(reports::chart::chart))
        .route("/reports/swarm", get(reports::chart::swarm))
        .route("/api/reports", get(reports::api))
        .route("/export/csv", get(reports::csv_file))
        .route("/export/json", get(reports::json_file))
        .route("/watch", get(view::overview))
        .route("/watch/torrents/{number}", get(view::torrent))
        .route("/watch/trackers/{number}", get(view::tracker))
        .route("/watch/map.svg", get(view::map))
        .route("/studies", get(studies::list))
        .route("/studies/{folder}/{name}", get(studies::file))
        .route("/observatory", get(sky::map))
        .route("/observatory/statistics", get(sky::statistics))
        .route("/observatory/events", get(sky::events))
        .route("/api/observatory", get(sky::api))
        .route("/reMap", get(sky::heat_map))
        .route("/search", get(search::results))
        .route("/torrent", get(torrent::without_hash))
        .route("/torrent/", get(torrent::without_hash))
        .route("/torrent/{infohash}", get(torrent::torrent))
        .route("/openapi.json", get(contract))
        .route("/api/watch", get(view::api))
        .route("/events", get(events::events))
        .route("/metrics", get(metrics::metrics))
        .route(
            "/assets/page.js",
            get(|| script(include_str!("assets/page.js"))),
        )
        .route(
            "/assets/watch.js",
            get(|| script(include_str!("assets/watch.js"))),
        )
        .route(
            "/assets/observatory.js",
            get(|| script(include_str!("assets/observatory.js"))),
        )
        .route("/assets/observatory.css", get(observatory_style))
        .route("/healthz", get(health))
        .route("/login", get(login::form).post(login::enter))
        .route("/assets/page.css", get(style))
        .route("/favicon.ico", get(icon))
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(Arc::clone(&app), admit))
        .with_state(app)
}

fn health() -> Ready<Response<Body>> {
    let well = serde_json::json!({ "status": "ok" });
    ready(json(StatusCode::OK, &well))
}

fn style() -> Ready<Response<Body>> {
    let sheet = include_str!("assets/page.css");
    ready(typed(StatusCode::OK, "text/css; charset=utf-8", sheet))
}

fn observatory_style() -> Ready<Response<Body>> {
    let sheet = include_str!("assets/observatory.css");
    ready(typed(StatusCode::OK, "text/css; charset=utf-8", sheet))
}

/// Browsers ask for it by themselves, also beside a report.
fn icon() -> Ready<Response<Body>> {
    let icon = include_str!("assets/icon.svg");
    ready(typed(StatusCode::OK, "image/svg+xml", icon))
}

fn script(script: &'static str) -> Ready<Response<Body>> {
    ready(typed(
        StatusCode::OK,
        "text/javascript; charset=utf-8",
        script,
    ))
}

fn contract() -> Ready<Response<Body>> {
    let document = include_str!("assets/openapi.json");
    ready(typed(StatusCode::OK, "application/json", document))
}

fn unknown() -> Ready<Refused> {
    ready(Refused::new(StatusCode::NOT_FOUND, "there is no such page"))
}

fn wrong_method() -> Ready<Refused> {
    let text = "this address takes no such request";
    ready(Refused::new(StatusCode::METHOD_NOT_ALLOWED, text))
}

/// Every request passes here, and every answer.
async fn admit(State(app): State<Arc<App>>, request: Request, next: Next) -> Response<Body> {
    let mut answer = match check(&app, &request) {
        Ok(()) => next.run(request).await,
        Err(answer) => answer,
    };
    protect(answer.headers_mut());
    answer
}

#[expect(
    clippy::result_large_err,
    reason = "the error is the answer, made once"
)]
fn check(app: &App, request: &Request) -> Result<(), Response<Body>> {
    let headers = request.headers();
    let host = text_of(headers, &HOST).unwrap_or_default();
    let refused = |status, text: &str| Err(Refused::new(status, text).into_response());
    if headers.contains_key(TRANSFER_ENCODING) {
        return Err(chunks_refused());
    }
    let ours = |host: &str| app.access.is_our_host(host);
    let named = request.uri().authority();
    let one_host = headers.get_all(HOST).iter().count() == 1 && ours(host);
    if !one_host || named.is_some_and(|named| !ours(named.as_str())) {
        let text = "not a name of this page: use its address, or add the name to web.host_names";
        return refused(StatusCode::MISDIRECTED_REQUEST, text);
    }
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let site = text_of(headers, &HeaderName::from_static("sec-fetch-site"));
    if !reads && !Access::is_our_origin(host, text_of(headers, &ORIGIN), site) {
        return refused(
            StatusCode::FORBIDDEN,
            "requests from other pages are refused",
        );
    }
    let path = request.uri().path();
    let open =
        matches!(path, "/healthz" | "/login" | "/favicon.ico") || path.starts_with("/assets/");
    if open || is_known(app, request)? {
        return Ok(());
    }
    let wants_page = text_of(headers, &ACCEPT).is_some_and(|kinds| kinds.contains("text/html"));
    if reads && wants_page {
        return Err(Redirect::to("/login").into_response());
    }
    let mut answer = Refused::new(
        StatusCode::UNAUTHORIZED,
        "the token is missing or wrong: send it as Authorization: Bearer, or log in at /login",
    )
    .into_response();
    let scheme = HeaderValue::from_static("Bearer");
    answer.headers_mut().insert(WWW_AUTHENTICATE, scheme);
    Err(answer)
}

/// Whether the caller knows the token. Who has tried too many wrong ones is
/// not even told of the right one.
#[expect(
    clippy::result_large_err,
    reason = "the error is the answer, made once"
)]
fn is_known(app: &App, request: &Request) -> Result<bool, Response<Body>> {
    let headers = request.headers();
    let given = text_of(headers, &AUTHORIZATION);
    let caller = request.extensions().get::<Caller>();
    let tries = caller.filter(|_| app.access.wants_token() && given.and_then(bearer).is_some());
    let now = app.clock.now();
    if let Some(Caller(ip)) = tries {
        let may = app.logins.lock().may(*ip, now);
        may.map_err(login::too_often)?;
    }
    let known = app.access.is_known(given, text_of(headers, &COOKIE));
    if let (Some(Caller(ip)), false) = (tries, known) {
        // There was a turn, or nobody else could be remembered.
        let _ = app.logins.lock().take(*ip, now);
    }
    Ok(known)
}

/// No browser sends a body in chunks, and where a length is given as well, a
/// proxy before us may take another part of it for the next request.
fn chunks_refused() -> Response<Body> {
    let text = "send the body with Content-Length, not with Transfer-Encoding";
    let mut answer = Refused::new(StatusCode::LENGTH_REQUIRED, text).into_response();
    let close = HeaderValue::from_static("close");
    answer.headers_mut().insert(CONNECTION, close);
    answer
}

fn text_of<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
