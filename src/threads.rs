//! The one way in which threads are started: with a name and a stack size.

use std::io;
use std::thread::{Builder, JoinHandle};

/// Starts a thread.
///
/// `name` has at most 15 bytes (Linux cuts the rest), `stack` is in bytes; an
/// untouched stack costs no memory. Fails when the system has no thread left.
pub fn spawn(
    name: &str,
    stack: usize,
    body: impl FnOnce() + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    Builder::new()
        .name(name.to_owned())
        .stack_size(stack)
        .spawn(body)
}
