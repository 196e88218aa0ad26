//! What is done with results behind a run: the commands `btda doctor`,
//! `btda combine` and `btda export`. Main thread only; everything that touches
//! a database is in [`crate::storage`], this says what it did.

pub mod combine;
pub mod doctor;
pub mod export;

use std::io::{self, Write};

use crate::exit::Exit;

/// Writes to standard output. Somebody who stops reading (`| head`) is no
/// failure.
fn print(text: &str) -> Exit {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Exit::Failed,
        _ => Exit::Success,
    }
}

/// One line on standard error.
fn complain(text: &str) {
    let _ = writeln!(io::stderr(), "btda: {text}");
}
