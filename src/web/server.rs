//! Takes connections, gives each a seat and its limits, and ends in order.
//!
//! Thread `web`, with an async runtime that lives and dies on it.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{Request, Response, StatusCode};
use axum::response::IntoResponse;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use super::answer::{Refused, protect};
use super::app::Caller;
use super::seats::{Entry, SeatId, Seats};
use super::stream::Pressed;
use crate::stop::StopToken;

/// Limits of all connections.
#[derive(Debug, Clone)]
pub(super) struct Limits {
    /// Connections.
    pub(super) connections: usize,
    /// Of these, of one address.
    pub(super) per_address: usize,
    /// From the opening, or the last answer, to the end of a request's header.
    pub(super) header: Duration,
    /// For each request until its answer begins, body included.
    pub(super) request: Duration,
    /// For each step of an answer that is being taken.
    pub(super) write: Duration,
}

/// Bytes of a request's header; hyper takes no less than 8 KiB.
const HEADER_MAX: usize = 16 * 1024;

/// Fields of a request's header.
const FIELDS_MAX: usize = 64;

/// How often the end of the run is looked for.
const STOP_POLL: Duration = Duration::from_millis(100);

/// Pause after a failed accept: the system has no descriptors, mostly.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// For requests in work when the server ends.
const GRACE: Duration = Duration::from_millis(500);

/// A server that is bound and not yet running.
pub(super) struct Server {
    listener: TcpListener,
    limits: Limits,
    router: Router,
    stop: StopToken,
}

/// What the connections share.
struct Shared {
    limits: Limits,
    router: TowerToHyperService<Router>,
    seats: Mutex<Seats>,
    tasks: Mutex<HashMap<SeatId, AbortHandle>>,
}

impl Server {
    /// Serves `router` at `listener` until `stop`.
    pub(super) const fn new(
        listener: TcpListener,
        limits: Limits,
        router: Router,
        stop: StopToken,
    ) -> Self {
        Self {
            listener,
            limits,
            router,
            stop,
        }
    }

    /// Serves until the stop; may be called again after a panic. The thread's
    /// body.
    pub(super) fn run(&self) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let done = runtime.and_then(|runtime| runtime.block_on(self.serve()));
        if let Err(error) = done {
            log::error!("the page cannot be served: {error}");
        }
    }

    async fn serve(&self) -> std::io::Result<()> {
        let listener = tokio::net::TcpListener::from_std(self.listener.try_clone()?)?;
        let limits = self.limits.clone();
        let shared = Arc::new(Shared {
            seats: Mutex::new(Seats::new(limits.connections, limits.per_address)),
            tasks: Mutex::default(),
            router: TowerToHyperService::new(self.router.clone()),
            limits,
        });
        while !self.stop.is_stopped() {
            match timeout(STOP_POLL, listener.accept()).await {
                Err(_) => {}
                Ok(Ok((stream, from))) => shared.seat(stream, from),
                Ok(Err(error)) => {
                    log::warn!("the page takes no connection: {error}");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(listener);
        let finished = async {
            while shared.seats.lock().at_work() > 0 {
                sleep(STOP_POLL).await;
            }
        };
        // Who is not done by then is cut off: events never end.
        let _ = timeout(GRACE, finished).await;
        Ok(())
    }
}

impl Shared {
    fn seat(self: &Arc<Self>, stream: TcpStream, from: SocketAddr) {
        let entry = self.seats.lock().enter(from.ip());
        let seat = match entry {
            Entry::Seated(seat) => seat,
            Entry::InPlaceOf(seat, leaver) => {
                if let Some(task) = self.tasks.lock().remove(&leaver) {
                    task.abort();
                }
                seat
            }
            Entry::Full => {
                log::debug!("a connection to the page is refused: all are at work");
                return;
            }
        };
        let place = Place {
            shared: Arc::clone(self),
            seat,
        };
        let task = tokio::spawn(converse(place, stream, from));
        self.tasks.lock().insert(seat, task.abort_handle());
    }
}

/// A seat that is given back in the end, however that comes.
struct Place {
    shared: Arc<Shared>,
    seat: SeatId,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shared.seats.lock().leave(self.seat);
        self.shared.tasks.lock().remove(&self.seat);
    }
}

async fn converse(place: Place, stream: TcpStream, from: SocketAddr) {
    let shared = Arc::clone(&place.shared);
    let limits = &shared.limits;
    // Small answers go at once.
    let _ = stream.set_nodelay(true);
    let io = TokioIo::new(Pressed::new(stream, limits.write));
    let seat = place.seat;
    let service = service_fn(|request| respond(Arc::clone(&shared), seat, from, request));
    let conversation = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header)
        .max_buf_size(HEADER_MAX)
        .max_headers(FIELDS_MAX)
        .serve_connection(io, service);
    if let Err(error) = conversation.await {
        log::debug!("a connection to the page ended: {error}");
    }
    drop(place);
}

async fn respond(
    shared: Arc<Shared>,
    seat: SeatId,
    from: SocketAddr,
    mut request: Request<Incoming>,
) -> Result<Response<AtWork>, Infallible> {
    let work = Arc::new(Work::new(Arc::clone(&shared), seat));
    request.extensions_mut().insert(Caller(from.ip()));
    let request = request.map(|body| Asked::new(body, Arc::clone(&work)));
    let answer = timeout(shared.limits.request, shared.router.call(request)).await;
    let answer = answer.unwrap_or_else(|_| {
        let text = "the request took too long";
        let mut answer = Refused::new(StatusCode::REQUEST_TIMEOUT, text).into_response();
        protect(answer.headers_mut());
        Ok(answer)
    })?;
    Ok(answer.map(|body| AtWork { body, _work: work }))
}

/// A request, in work from the end of its body on: who sends half of one
/// holds no seat by that.
struct Work {
    shared: Arc<Shared>,
    seat: SeatId,
    begun: AtomicBool,
}

impl Work {
    const fn new(shared: Arc<Shared>, seat: SeatId) -> Self {
        Self {
            shared,
            seat,
            begun: AtomicBool::new(false),
        }
    }

    fn begin(&self) {
        if !self.begun.swap(true, Ordering::Relaxed) {
            self.shared.seats.lock().begin(self.seat);
        }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        if self.begun.load(Ordering::Relaxed) {
            self.shared.seats.lock().end(self.seat);
        }
    }
}

/// The body of a request, which is in work when this is read or given up.
struct Asked {
    body: Incoming,
    work: Arc<Work>,
}

impl Asked {
    fn new(body: Incoming, work: Arc<Work>) -> Self {
        if body.is_end_stream() {
            work.begin();
        }
        Self { body, work }
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.work.begin();
    }
}

impl HttpBody for Asked {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body of an answer; its request is in work until the body is handed
/// over to the connection.
struct AtWork {
    body: Body,
    _work: Arc<Work>,
}

impl HttpBody for AtWork {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
