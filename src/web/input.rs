//! What comes in with a request, within limits.

use axum::body::{Body, Bytes, to_bytes};
use axum::http::StatusCode;

use super::answer::Refused;

/// Bytes of a body, unless it is a torrent file.
pub(super) const BODY_MAX: usize = 64 * 1024;

/// The body, if it is small.
pub(super) async fn small_body(body: Body) -> Result<Bytes, Refused> {
    body_within(body, BODY_MAX).await
}

/// The body, if it has at most `limit` bytes.
pub(super) async fn body_within(body: Body, limit: usize) -> Result<Bytes, Refused> {
    to_bytes(body, limit).await.map_err(|_| {
        let text = format!("the body is longer than {limit} bytes, or was not sent to its end");
        Refused::new(StatusCode::PAYLOAD_TOO_LARGE, text)
    })
}

/// The value of `name` in a query; of several the last, of none empty.
pub(super) fn field(query: Option<&str>, name: &str) -> String {
    let pairs = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    let value = pairs.filter(|(found, _)| found == name).last();
    value.map_or_else(String::new, |(_, value)| value.into_owned())
}
