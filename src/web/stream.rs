//! The bytes of one connection, with a deadline for the one who reads.
//!
//! Thread `web`. Somebody who takes nothing of an answer for the whole of the
//! time is let go, and so is who takes a little again and again, just enough
//! to stay; a connection that is open to send events and has none to send is
//! not concerned.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use crate::clock::{Clock, SystemClock};

/// Bytes a second that a reader takes at least, in the long run.
const RATE_MIN: u32 = 16 * 1024;

/// All waits of a connection together, beside what [`RATE_MIN`] gives it, in
/// times of one step.
const STEPS: u32 = 3;

/// How long a reader is waited for. Pure.
#[derive(Debug)]
struct Patience {
    /// For each step.
    step: Duration,
    /// All waits so far.
    waited: Duration,
    /// Bytes taken since the first wait: what the system kept for the reader
    /// before says nothing of it.
    taken: u64,
}

impl Patience {
    const fn new(step: Duration) -> Self {
        Self {
            step,
            waited: Duration::ZERO,
            taken: 0,
        }
    }

    /// For the next step.
    fn left(&self) -> Duration {
        let earned = Duration::from_secs_f64(self.taken as f64 / f64::from(RATE_MIN));
        let whole = (self.step * STEPS).saturating_add(earned);
        whole.saturating_sub(self.waited).min(self.step)
    }

    const fn add_wait(&mut self, wait: Duration) {
        self.waited = self.waited.saturating_add(wait);
    }

    const fn add_taken(&mut self, bytes: usize) {
        if !self.waited.is_zero() {
            self.taken = self.taken.saturating_add(bytes as u64);
        }
    }
}

/// A stream whose writes have to move on.
pub(super) struct Pressed<S> {
    inner: S,
    clock: SystemClock,
    patience: Patience,
    /// Runs while a write waits, from then on.
    end: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl<S> Pressed<S> {
    /// `inner`, with `time` for each step of a write.
    pub(super) fn new(inner: S, time: Duration) -> Self {
        Self {
            inner,
            clock: SystemClock::new(),
            patience: Patience::new(time),
            end: None,
        }
    }

    fn judge<T>(
        &mut self,
        context: &mut Context<'_>,
        step: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if step.is_ready() {
            if let Some((since, _)) = self.end.take() {
                let wait = self.clock.now().saturating_duration_since(since);
                self.patience.add_wait(wait);
            }
            return step;
        }
        let (now, left) = (self.clock.now(), self.patience.left());
        let (_, end) = self.end.get_or_insert_with(|| (now, Box::pin(sleep(left))));
        ready!(end.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Pressed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Pressed<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let step = Pin::new(&mut self.inner).poll_write(context, bytes);
        let step = self.judge(context, step);
        if let Poll::Ready(Ok(length)) = &step {
            self.patience.add_taken(*length);
        }
        step
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let step = Pin::new(&mut self.inner).poll_flush(context);
        self.judge(context, step)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let step = Pin::new(&mut self.inner).poll_shutdown(context);
        self.judge(context, step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    const STEP: Duration = Duration::from_secs(20);

    #[test]
    fn all_waits_together_have_an_end() {
        let mut patience = Patience::new(STEP);
        // The system's buffers take much before anybody reads.
        patience.add_taken(1 << 30);
        let (mut waits, nearly) = (0, Duration::from_secs(19));
        while patience.left() > nearly {
            patience.add_wait(nearly);
            patience.add_taken(1);
            waits += 1;
        }
        assert_eq!(waits, 3, "{patience:?}");
    }

    #[test]
    fn a_slow_line_is_no_fault() {
        let mut patience = Patience::new(STEP);
        for _ in 0..10_000 {
            patience.add_wait(Duration::from_secs(10));
            patience.add_taken(10 * 16 * 1024);
        }
        assert_eq!(patience.left(), STEP);
    }

    /// Takes a byte whenever a moment has passed.
    struct Trickle(Option<Pin<Box<Sleep>>>);

    impl AsyncWrite for Trickle {
        fn poll_write(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
            _: &[u8],
        ) -> Poll<io::Result<usize>> {
            let pause = || Box::pin(sleep(Duration::from_millis(1)));
            ready!(self.0.get_or_insert_with(pause).as_mut().poll(context));
            self.0 = None;
            Poll::Ready(Ok(1))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[test]
    fn who_takes_byte_after_byte_is_let_go() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let endless = async {
            let mut pressed = Pressed::new(Trickle(None), Duration::from_millis(20));
            loop {
                let step = poll_fn(|context| Pin::new(&mut pressed).poll_write(context, b"x"));
                if let Err(error) = step.await {
                    return error.kind();
                }
            }
        };
        assert_eq!(runtime.block_on(endless), io::ErrorKind::TimedOut);
    }
}
