//! An answer that is written by a thread while it is sent.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use hyper::body::{Body as HttpBody, Frame};
use tokio::sync::mpsc;

/// Pieces that wait to be sent.
const WAITING: usize = 4;

/// A piece; an error cuts the answer off.
type Piece = Result<Bytes, std::io::Error>;

/// Where the thread writes.
pub(super) struct Pieces(mpsc::Sender<Piece>);

struct Taken(mpsc::Receiver<Piece>);

/// A body and what fills it.
pub(super) fn channel() -> (Pieces, Body) {
    let (send, receive) = mpsc::channel(WAITING);
    (Pieces(send), Body::new(Taken(receive)))
}

impl Pieces {
    /// Sends `text`, waiting for room; `false` when nobody takes it any more.
    /// Not on the page's own thread.
    pub(super) fn send(&self, text: String) -> bool {
        self.0.blocking_send(Ok(text.into())).is_ok()
    }

    /// Cuts the answer off, so that it is not taken for a whole one.
    pub(super) fn fail(&self) {
        let error = std::io::Error::other("the answer could not be written to its end");
        // Nobody may be there any more.
        let _ = self.0.blocking_send(Err(error));
    }
}

impl HttpBody for Taken {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let piece = self.0.poll_recv(context);
        piece.map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}
