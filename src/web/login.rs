//! The token once, a cookie from then on.

use std::future::{Ready, ready};
use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{LOCATION, RETRY_AFTER, SET_COOKIE};
use axum::http::{HeaderValue, Response, StatusCode};
use axum::response::IntoResponse;

use super::access::COOKIE;
use super::answer::{Refused, page};
use super::app::{App, Caller};
use super::input::small_body;
use super::pages::LoginPage;

/// `GET /login`.
pub(super) fn form(State(app): State<Arc<App>>) -> Ready<Response<Body>> {
    ready(if app.access.wants_token() {
        page(StatusCode::OK, &LoginPage { wrong: false })
    } else {
        to_start()
    })
}

/// `POST /login`, with the form field `token`.
pub(super) async fn enter(
    State(app): State<Arc<App>>,
    Extension(Caller(ip)): Extension<Caller>,
    body: Body,
) -> Response<Body> {
    let waits = app.logins.lock().take(ip, app.clock.now());
    if let Err(wait) = waits {
        return too_often(wait);
    }
    let body = match small_body(body).await {
        Ok(body) => body,
        Err(refused) => return refused.into_response(),
    };
    let mut fields = url::form_urlencoded::parse(&body);
    let token = fields.find(|(name, _)| name == "token");
    if !token.is_some_and(|(_, token)| app.access.is_token(&token)) {
        return page(StatusCode::UNAUTHORIZED, &LoginPage { wrong: true });
    }
    let mut random = [0; 20];
    if getrandom::fill(&mut random).is_err() {
        let text = "the system gives no random numbers";
        return Refused::new(StatusCode::INTERNAL_SERVER_ERROR, text).into_response();
    }
    // As an info hash has it: 40 hexadecimal digits.
    let session = crate::model::InfoHash::new(random).to_string();
    app.access.open_session(&session);
    let mut answer = to_start();
    let cookie = format!("{COOKIE}={session}; Path=/; HttpOnly; SameSite=Strict");
    if let Ok(cookie) = HeaderValue::try_from(cookie) {
        answer.headers_mut().insert(SET_COOKIE, cookie);
    }
    answer
}

fn to_start() -> Response<Body> {
    let mut answer = StatusCode::SEE_OTHER.into_response();
    answer
        .headers_mut()
        .insert(LOCATION, HeaderValue::from_static("/"));
    answer
}

/// 429, with the time to wait.
pub(super) fn too_often(wait: std::time::Duration) -> Response<Body> {
    let seconds = wait.as_secs().saturating_add(1);
    let text = format!("too many requests from this address: wait {seconds} s");
    let mut answer = Refused::new(StatusCode::TOO_MANY_REQUESTS, text).into_response();
    answer
        .headers_mut()
        .insert(RETRY_AFTER, HeaderValue::from(seconds));
    answer
}
