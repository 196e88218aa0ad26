//! The one function that starts threads.
//!
//! A measuring run has thousands of threads; each has a name that tells in
//! `top -H` and in the log what it does, and an explicit stack size, since
//! the default of 8 MiB would exhaust the address space of small machines.
//!
//! No thread dies silently: whoever panics is counted here, also threads that
//! nobody joins or watches (callers, requests to trackers, look-ups).

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

/// Stack of a thread that talks to peers: enough for the deepest call chain
/// of a visit in a debug build. Untouched stack costs no memory.
pub const VISIT_STACK: usize = 256 * 1024;

/// Stack of a thread that may speak TLS or SQL.
pub const LARGE_STACK: usize = 2 * 1024 * 1024;

/// Threads of this process that a panic has ended.
static PANICKED: AtomicU64 = AtomicU64::new(0);

/// Threads of this process that a panic has ended; one that catches its panic
/// is not among them.
pub fn panicked() -> u64 {
    PANICKED.load(Ordering::Relaxed)
}

/// Counts the thread when a panic ends it.
struct Watch;

impl Drop for Watch {
    fn drop(&mut self) {
        if thread::panicking() {
            PANICKED.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Starts `body` on a thread called `name` (at most 15 bytes; the kernel cuts
/// the rest) with `stack` bytes of stack.
///
/// # Errors
/// When the system has no room for another thread; nothing has happened then.
pub fn spawn(
    name: &str,
    stack: usize,
    body: impl FnOnce() + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    debug_assert!(
        name.len() <= 15,
        "the kernel cuts thread names after 15 bytes: {name}"
    );
    thread::Builder::new()
        .name(name.to_owned())
        .stack_size(stack)
        .spawn(move || {
            let _watch = Watch;
            body();
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_have_their_name() {
        let (send, receive) = crossbeam_channel::bounded(1);
        let thread = spawn("named", 128 * 1024, move || {
            let _ = send.send(std::thread::current().name().map(str::to_owned));
        })
        .unwrap();
        thread.join().unwrap();
        assert_eq!(receive.recv().unwrap().as_deref(), Some("named"));
    }

    #[test]
    fn a_thread_that_panics_is_counted() {
        let before = panicked();
        let thread = spawn("panics", 128 * 1024, || panic!("on purpose")).unwrap();
        assert!(thread.join().is_err());
        assert!(panicked() > before);
    }
}
