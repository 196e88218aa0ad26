//! Answers that are alike everywhere: errors as JSON, and what every answer
//! says about itself.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use axum::response::IntoResponse;
use serde::Serialize;

/// What a browser may do with our pages: nothing but our own script and
/// style sheet, and nothing from or to anywhere else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

const HEADERS: [(HeaderName, &str); 7] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    // Not `no-referrer`: by the Fetch standard, forms then have the origin `null`,
    // also our own.
    (header::REFERRER_POLICY, "same-origin"),
    (header::CACHE_CONTROL, "no-store"),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
];

/// Adds what every answer says, where the answer itself does not say it.
pub(super) fn protect(headers: &mut HeaderMap) {
    for (name, value) in HEADERS {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
}

/// An error as all of them are told: `{"error": "..."}`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused {
    /// The status.
    pub(super) status: StatusCode,
    /// What happened and what to do.
    pub(super) text: String,
}

impl Refused {
    /// An error.
    pub(super) fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self {
            status,
            text: text.into(),
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response<Body> {
        json(self.status, &serde_json::json!({ "error": self.text }))
    }
}

/// `value` as JSON.
pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Response<Body> {
    match serde_json::to_string(value) {
        Ok(text) => typed(status, "application/json", text),
        Err(error) => {
            log::error!("an answer of the page cannot be written as JSON: {error}");
            let text = "{\"error\":\"the answer cannot be written\"}";
            typed(StatusCode::INTERNAL_SERVER_ERROR, "application/json", text)
        }
    }
}

/// A body with its type.
pub(super) fn typed(
    status: StatusCode,
    kind: &'static str,
    body: impl Into<Body>,
) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let kind = HeaderValue::from_static(kind);
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// A page made by askama.
pub(super) fn page(status: StatusCode, page: &impl askama::Template) -> Response<Body> {
    match page.render() {
        Ok(text) => typed(status, "text/html; charset=utf-8", text),
        Err(error) => {
            log::error!("a page cannot be written: {error}");
            Refused::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the page cannot be written",
            )
            .into_response()
        }
    }
}
