//! Standard input as a source of records, until a signal comes: whoever reads a
//! pipe or a terminal must not wait for its next line to end.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::time::Duration;

use crossbeam_channel::Receiver;

use crate::net::ready;
use crate::signals::Signal;

/// How late a signal is noticed.
const LOOK: Duration = Duration::from_millis(100);

/// Ends, as a file does, with the first signal, which it leaves where it is.
pub(super) struct StandardInput {
    input: File,
    signals: Receiver<Signal>,
}

impl StandardInput {
    /// Without a buffer of its own: what lies in one, no wait would notice.
    pub(super) fn open(signals: &Receiver<Signal>) -> io::Result<Self> {
        let input = io::stdin().as_fd().try_clone_to_owned()?;
        Ok(Self::of(input.into(), signals))
    }

    fn of(input: File, signals: &Receiver<Signal>) -> Self {
        Self {
            input,
            signals: signals.clone(),
        }
    }
}

impl Read for StandardInput {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.signals.is_empty() {
            match ready::readable(&self.input, LOOK) {
                Ok(true) => return self.input.read(buffer),
                Ok(false) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::OwnedFd;

    use crossbeam_channel::bounded;

    use super::*;

    #[test]
    fn a_signal_ends_a_pipe_that_nobody_closes() {
        let (far, mut near) = io::pipe().unwrap();
        let (tell, signals) = bounded(1);
        let mut input = StandardInput::of(File::from(OwnedFd::from(far)), &signals);
        near.write_all(b"a line\n").unwrap();
        let mut buffer = [0; 64];
        assert_eq!(input.read(&mut buffer).unwrap(), 7);
        tell.send(Signal::Interrupt).unwrap();
        assert_eq!(input.read(&mut buffer).unwrap(), 0);
        assert_eq!(signals.len(), 1, "it is for whoever reads");
    }

    #[test]
    fn the_end_of_the_pipe_is_the_end() {
        let (far, near) = io::pipe().unwrap();
        let (_tell, signals) = bounded(1);
        let mut input = StandardInput::of(File::from(OwnedFd::from(far)), &signals);
        drop(near);
        assert_eq!(input.read(&mut [0; 64]).unwrap(), 0);
    }
}
