//! SIGINT and SIGTERM ask a run to end; a second one ends the process.
//!
//! SIGHUP keeps its meaning, so that `nohup` works.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::exit::Exit;
use crate::threads::{VISIT_STACK, spawn};

/// Which signal asked for the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGINT: Ctrl+C.
    Interrupt,
    /// SIGTERM.
    Terminate,
}

impl Signal {
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Interrupt => "SIGINT",
            Self::Terminate => "SIGTERM",
        }
    }
}

/// Watches both signals for the rest of the process; the first of them
/// arrives on the channel, the second ends the process with [`Exit::Interrupted`].
///
/// # Errors
/// When a handler or a thread cannot be installed, or was before.
pub fn watch() -> io::Result<Receiver<Signal>> {
    let (sender, receiver) = bounded(1);
    let seen = Arc::new(AtomicBool::new(false));
    let (interrupts, first) = (sender.clone(), Arc::clone(&seen));
    ctrlc::set_handler(move || arrived(Signal::Interrupt, &interrupts, &first))
        .map_err(io::Error::other)?;
    let mut terminations = signal_hook::iterator::Signals::new([signal_hook::consts::SIGTERM])?;
    spawn("sigterm", VISIT_STACK, move || {
        for _ in terminations.forever() {
            arrived(Signal::Terminate, &sender, &seen);
        }
    })?;
    Ok(receiver)
}

fn arrived(signal: Signal, sender: &Sender<Signal>, seen: &AtomicBool) {
    if seen.swap(true, Ordering::SeqCst) {
        std::process::exit(Exit::Interrupted.code().into());
    }
    // The only receiver is the run; without it there is nothing to end.
    let _ = sender.try_send(signal);
}
