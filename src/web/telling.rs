//! States as server-sent events: each event is the whole state, so that
//! whoever comes back after a break has missed nothing.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{Response, StatusCode};
use axum::response::IntoResponse;
use hyper::body::{Body as HttpBody, Frame};
use serde::Serialize;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{MissedTickBehavior, interval};

use super::answer::{Refused, typed};

/// Between two looks at the state.
const LOOK: Duration = Duration::from_secs(1);

/// Looks without news after which a comment is sent, to notice who has gone.
const QUIET_MAX: u32 = 15;

/// A comment, for those who wait.
pub(super) const NOTHING_NEW: &[u8] = b": nothing new\n\n";

/// Something whose state is told.
pub(super) trait Tell: Send + Sync + 'static {
    /// The state now, in one line.
    fn state(&self) -> impl Future<Output = Result<String, Refused>> + Send;
}

/// A state as the one line that an event takes.
pub(super) fn line_of(state: &impl Serialize) -> Result<String, Refused> {
    let failed = |_| Refused::new(StatusCode::INTERNAL_SERVER_ERROR, "no JSON");
    serde_json::to_string(state).map_err(failed)
}

/// Tells whoever gets one of `seats`, whenever the state is another one.
pub(super) async fn tell(of: impl Tell, seats: &Arc<Semaphore>) -> Response<Body> {
    let Ok(seat) = Arc::clone(seats).try_acquire_owned() else {
        let text =
            "too many watch already: close another page, or read /api/watch or /api/observatory";
        return Refused::new(StatusCode::SERVICE_UNAVAILABLE, text).into_response();
    };
    // An error is better told as such than as a stream without events.
    if let Err(refused) = of.state().await {
        return refused.into_response();
    }
    let (send, receive) = mpsc::channel(1);
    let teller = async move {
        send_states(&of, &send).await;
        drop(seat);
    };
    stream(receive, teller)
}

/// Events that `teller` sends while somebody takes them.
pub(super) fn stream(
    pieces: mpsc::Receiver<Bytes>,
    teller: impl Future<Output = ()> + Send + 'static,
) -> Response<Body> {
    let body = Told {
        pieces,
        teller: Some(Box::pin(teller)),
    };
    typed(StatusCode::OK, "text/event-stream", Body::new(body))
}

/// One event of `kind`.
pub(super) fn event(number: u64, kind: &str, data: &str) -> Bytes {
    format!("retry: 2000\nid: {number}\nevent: {kind}\ndata: {data}\n\n").into()
}

async fn send_states(of: &impl Tell, send: &mpsc::Sender<Bytes>) {
    let (mut looks, mut number, mut quiet) = (interval(LOOK), 0_u64, 0);
    // Who was away gets the newest state, not all that were missed.
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = None;
    loop {
        looks.tick().await;
        let text = of.state().await.ok();
        let piece = if text.is_some() && text != last {
            number += 1;
            let data = text.as_deref().unwrap_or_default();
            let piece = event(number, "state", data);
            last = text;
            piece
        } else if quiet >= QUIET_MAX {
            Bytes::from_static(NOTHING_NEW)
        } else {
            quiet += 1;
            continue;
        };
        quiet = 0;
        if send.send(piece).await.is_err() {
            return;
        }
    }
}

/// The stream; who drops it ends the teller.
struct Told {
    pieces: mpsc::Receiver<Bytes>,
    teller: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl HttpBody for Told {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(teller) = &mut self.teller
            && teller.as_mut().poll(context).is_ready()
        {
            self.teller = None;
        }
        let piece = ready!(self.pieces.poll_recv(context));
        Poll::Ready(piece.map(|bytes| Ok(Frame::data(bytes))))
    }
}
