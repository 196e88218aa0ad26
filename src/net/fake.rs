//! A scripted stream on a clock moved by hand, for tests without sockets.

use std::collections::VecDeque;
use std::time::Duration;

use crate::clock::{Clock, ManualClock};
use crate::model::{Link, Reason};

use super::{NetError, Operation, Stream};

/// What the other side does next.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// Sends bytes after a pause.
    Send(Duration, Vec<u8>),
    /// Closes after a pause.
    Close(Duration),
    /// Breaks the connection after a pause.
    Fail(Duration, Reason),
}

/// Plays a script; silent for ever behind its end.
pub(crate) struct FakeStream {
    clock: ManualClock,
    script: VecDeque<Step>,
    /// Everything that was written to it.
    pub(crate) written: Vec<u8>,
    /// Error of the next write.
    pub(crate) write_error: Option<Reason>,
}

impl FakeStream {
    pub(crate) fn new(clock: &ManualClock, script: Vec<Step>) -> Self {
        Self {
            clock: clock.clone(),
            script: script.into(),
            written: Vec::new(),
            write_error: None,
        }
    }

    fn pause(&mut self, pause: Duration, wait: Duration) -> Result<(), NetError> {
        self.clock.advance(pause.min(wait));
        if pause > wait {
            Err(NetError::timed_out(Operation::Read))
        } else {
            Ok(())
        }
    }
}

impl Stream for FakeStream {
    fn read(&mut self, buffer: &mut [u8], wait: Duration) -> Result<usize, NetError> {
        let before = self.clock.now();
        match self.script.pop_front() {
            None => {
                self.clock.advance(wait);
                Err(NetError::timed_out(Operation::Read))
            }
            Some(Step::Send(pause, bytes)) => {
                if let Err(error) = self.pause(pause, wait) {
                    let waited = self.clock.now() - before;
                    self.script
                        .push_front(Step::Send(pause.checked_sub(waited).unwrap(), bytes));
                    return Err(error);
                }
                let length = bytes.len().min(buffer.len());
                buffer[..length].copy_from_slice(&bytes[..length]);
                if length < bytes.len() {
                    self.script
                        .push_front(Step::Send(Duration::ZERO, bytes[length..].to_vec()));
                }
                Ok(length)
            }
            Some(Step::Close(pause)) => self.pause(pause, wait).map(|()| 0),
            Some(Step::Fail(pause, reason)) => {
                self.pause(pause, wait)?;
                Err(NetError {
                    operation: Operation::Read,
                    reason,
                })
            }
        }
    }

    fn write_all(&mut self, bytes: &[u8], _wait: Duration) -> Result<(), NetError> {
        if let Some(reason) = self.write_error {
            return Err(NetError {
                operation: Operation::Write,
                reason,
            });
        }
        self.written.extend_from_slice(bytes);
        Ok(())
    }

    fn link(&self) -> Link {
        Link::PLAIN_TCP
    }
}
