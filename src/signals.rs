//! SIGINT, SIGTERM and SIGHUP ask a run to end; a second of the first
//! two ends the process.
//!
//! SIGHUP comes when the terminal goes away: the run then ends in order
//! instead of being cut off. Where it is ignored, by `nohup`, it stays so.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{fs, io};

use crossbeam_channel::{Receiver, Sender, bounded};
use signal_hook::consts::{SIGHUP, SIGTERM};

use crate::exit::Exit;
use crate::threads::{VISIT_STACK, spawn};

/// Which signal asked for the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGINT: Ctrl+C.
    Interrupt,
    /// SIGTERM.
    Terminate,
    /// SIGHUP: the terminal is gone.
    Hangup,
}

impl Signal {
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Interrupt => "SIGINT",
            Self::Terminate => "SIGTERM",
            Self::Hangup => "SIGHUP",
        }
    }
}

/// Watches the signals for the rest of the process; the first of them
/// arrives on the channel, the second ends the process with [`Exit::Interrupted`]
/// (not SIGHUP, which comes twice by itself).
///
/// # Errors
/// When a handler or a thread cannot be installed, or was before.
pub fn watch() -> io::Result<Receiver<Signal>> {
    let (sender, receiver) = bounded(1);
    let seen = Arc::new(AtomicBool::new(false));
    let (interrupts, first) = (sender.clone(), Arc::clone(&seen));
    ctrlc::set_handler(move || arrived(Signal::Interrupt, &interrupts, &first))
        .map_err(io::Error::other)?;
    let watched: &[i32] = if hangups_are_ignored() {
        &[SIGTERM]
    } else {
        &[SIGTERM, SIGHUP]
    };
    let mut others = signal_hook::iterator::Signals::new(watched)?;
    spawn("signals", VISIT_STACK, move || {
        for number in others.forever() {
            let signal = if number == SIGHUP {
                Signal::Hangup
            } else {
                Signal::Terminate
            };
            arrived(signal, &sender, &seen);
        }
    })?;
    Ok(receiver)
}

fn arrived(signal: Signal, sender: &Sender<Signal>, seen: &AtomicBool) {
    if seen.swap(true, Ordering::SeqCst) {
        if signal == Signal::Hangup {
            // Shell and kernel both tell that the terminal is gone; nobody
            // has lost patience.
            return;
        }
        std::process::exit(Exit::Interrupted.code().into());
    }
    // The only receiver is the run; without it there is nothing to end.
    let _ = sender.try_send(signal);
}

/// Whether this process was started with SIGHUP ignored.
fn hangups_are_ignored() -> bool {
    fs::read_to_string("/proc/self/status").is_ok_and(|status| ignores(&status, SIGHUP))
}

/// Whether the mask of ignored signals in `status`, a text of `/proc`, has
/// `signal`.
fn ignores(status: &str, signal: i32) -> bool {
    let mut lines = status.lines();
    let mask = lines
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mask_of_ignored_signals_is_read() {
        let status = |mask| format!("SigBlk:\t0000000000000001\nSigIgn:\t{mask}\n");
        assert!(ignores(&status("0000000000001001"), SIGHUP));
        assert!(!ignores(&status("0000000000001000"), SIGHUP));
        assert!(ignores(&status("0000000000004000"), SIGTERM));
        assert!(!ignores("", SIGHUP));
    }
}
