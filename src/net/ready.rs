//! Waiting for a socket with the precision of the system's high-resolution
//! timers.
//!
//! A timeout set on a socket (`SO_RCVTIMEO`) counts in ticks of the kernel's
//! coarse timers: with 250 Hz, one second ends 20 to 28 ms late and six
//! seconds 140 ms late, for all sockets of such an interval at the same
//! moment. `poll` is late by a thousandth of its time.
//!
//! Used by [`super::tcp`] on contact and caller threads, and for standard input.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

/// Waits until `socket` can be read, was closed, or has failed; false when
/// `wait` is over before. A signal may end the wait early with
/// [`io::ErrorKind::Interrupted`].
pub(crate) fn readable(socket: impl AsFd, wait: Duration) -> io::Result<bool> {
    ready(socket, PollFlags::IN, wait)
}

/// The same for writing, and for the end of a connection attempt.
pub(super) fn writable(socket: impl AsFd, wait: Duration) -> io::Result<bool> {
    ready(socket, PollFlags::OUT, wait)
}

fn ready(socket: impl AsFd, flags: PollFlags, wait: Duration) -> io::Result<bool> {
    // No wait is as long as the largest time that the call takes.
    let wait = Timespec::try_from(wait).map_err(|_| io::Error::from(Errno::INVAL))?;
    let mut sockets = [PollFd::new(&socket, flags)];
    Ok(poll(&mut sockets, Some(&wait))? > 0)
}
