//! What commands say to the person who called them. Main thread only.

use std::io::{self, Write};

use crate::exit::Exit;

/// Writes to standard output. Somebody who stops reading (`| head`) is no
/// failure.
pub fn print(text: &str) -> Exit {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Exit::Failed,
        _ => Exit::Success,
    }
}

/// One `btda: ` line on standard error for each line of `text`.
pub fn complain(text: &str) {
    for line in text.lines() {
        let _ = writeln!(io::stderr(), "btda: {line}");
    }
}
