//! The only place that starts threads.
//!
//! Every thread has a name of at most 15 bytes, which the kernel shows in
//! `top -H` and the log in each line, and an explicit stack size.

use std::io;
use std::thread::{Builder, JoinHandle};

/// Stack of a thread that talks to peers: enough for the deepest call chain
/// of a visit in a debug build. Untouched stack costs no memory.
pub const VISIT_STACK: usize = 256 * 1024;

/// Stack of a thread that may speak TLS or SQL.
pub const LARGE_STACK: usize = 2 * 1024 * 1024;

/// Starts `body` on a thread called `name` with `stack` bytes of stack.
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
    Builder::new()
        .name(name.to_owned())
        .stack_size(stack)
        .spawn(body)
}
