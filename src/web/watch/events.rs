//! `GET /events`: the whole state as server-sent events, so that whoever comes
//! back after a break has missed nothing.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{Response, StatusCode};
use axum::response::IntoResponse;
use hyper::body::{Body as HttpBody, Frame};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use crate::web::answer::{Refused, typed};
use crate::web::app::App;

/// Between two looks at the state.
const LOOK: Duration = Duration::from_secs(1);

/// Looks without news after which a comment is sent, to notice who has gone.
const QUIET_MAX: u32 = 15;

/// `GET /events`.
pub(in crate::web) async fn events(State(app): State<Arc<App>>) -> Response<Body> {
    let Ok(seat) = Arc::clone(&app.watch.listeners).try_acquire_owned() else {
        let text = "too many watch already: close another page, or read /api/watch";
        return Refused::new(StatusCode::SERVICE_UNAVAILABLE, text).into_response();
    };
    // An error is better told as such than as a stream without events.
    if let Err(refused) = app.watch.state(&app.jobs).await {
        return refused.into_response();
    }
    let (send, receive) = mpsc::channel(1);
    let teller = async move {
        tell(&app, &send).await;
        drop(seat);
    };
    let body = Told {
        pieces: receive,
        teller: Some(Box::pin(teller)),
    };
    typed(StatusCode::OK, "text/event-stream", Body::new(body))
}

/// Sends the state whenever it is another one.
async fn tell(app: &App, send: &mpsc::Sender<Bytes>) {
    let (mut looks, mut number, mut quiet) = (interval(LOOK), 0_u64, 0);
    // Who was away gets the newest state, not all that were missed.
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = None;
    loop {
        looks.tick().await;
        let state = app.watch.state(&app.jobs).await.ok();
        let text = state.and_then(|state| serde_json::to_string(&state).ok());
        let piece = if text.is_some() && text != last {
            number += 1;
            let data = text.as_deref().unwrap_or_default();
            let piece = format!("retry: 2000\nid: {number}\nevent: state\ndata: {data}\n\n");
            last = text;
            piece
        } else if quiet >= QUIET_MAX {
            ": nothing new\n\n".to_owned()
        } else {
            quiet += 1;
            continue;
        };
        quiet = 0;
        if send.send(piece.into()).await.is_err() {
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
