//! One connection to the control port.
//!
//! Waits in slices, so that the end of the run is noticed soon without
//! shutting the socket: the node wants a good-bye.

use std::time::Duration;

use crate::deadline::Deadline;
use crate::model::Reason;
use crate::net::{NetError, Stream};

use super::line::{self, Line, LineDecoder};
use super::{PymdhtContext, PymdhtError};

/// Longest time in one call of the socket.
const SLICE: Duration = Duration::from_millis(100);

/// For the good-bye.
const LEAVE_WAIT: Duration = Duration::from_millis(200);

/// Bytes that a node may send for one lookup, several times the longest
/// answer that is used.
const BYTES_MAX: usize = 4 << 20;

/// Why no further line came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    Quiet,
    Stopped,
    Closed,
    Broken(NetError),
    Flooded,
}

impl Cut {
    /// The error of a lookup; `quiet` where the deadline passed.
    pub(super) fn into_error(self, quiet: PymdhtError) -> PymdhtError {
        match self {
            Self::Quiet => quiet,
            Self::Stopped => PymdhtError::Stopped,
            Self::Closed => PymdhtError::Lost(None),
            Self::Broken(error) => PymdhtError::Lost(Some(error)),
            Self::Flooded => PymdhtError::Garbage,
        }
    }
}

/// A connected stream with what has been read from it.
pub(super) struct Connection {
    stream: Box<dyn Stream>,
    decoder: LineDecoder,
    unread: Vec<u8>,
    budget: usize,
    /// The node's number of the lookup under way.
    theirs: Option<u32>,
    lookups: u64,
}

impl Connection {
    /// Connects by `deadline`, and within the wait for an answer.
    pub(super) fn open(context: &PymdhtContext, deadline: Deadline) -> Result<Self, PymdhtError> {
        if context.stop.is_stopped() {
            return Err(PymdhtError::Stopped);
        }
        let left = deadline
            .left(context.clock.now())
            .ok_or(PymdhtError::NotDue)?;
        let stream = context
            .connect
            .connect(context.address, left.min(context.answer_wait))
            .map_err(PymdhtError::Unreachable)?;
        Ok(Self {
            stream,
            decoder: LineDecoder::default(),
            unread: Vec::new(),
            budget: BYTES_MAX,
            theirs: None,
            lookups: 0,
        })
    }

    /// Sends the first line of a lookup.
    pub(super) fn begin(
        &mut self,
        request: &[u8],
        context: &PymdhtContext,
        deadline: Deadline,
    ) -> Result<(), PymdhtError> {
        self.budget = BYTES_MAX;
        self.theirs = None;
        self.lookups = self.lookups.saturating_add(1);
        self.send(request, context, deadline)
    }

    /// Whether this is not the first lookup on the connection.
    pub(super) const fn is_used(&self) -> bool {
        self.lookups > 1
    }

    /// The node has taken the lookup.
    pub(super) const fn opened(&mut self, theirs: u32) {
        self.theirs = Some(theirs);
    }

    /// The node has ended the lookup.
    pub(super) const fn finish(&mut self) {
        self.theirs = None;
    }

    /// Sends a line.
    pub(super) fn send(
        &mut self,
        line: &[u8],
        context: &PymdhtContext,
        deadline: Deadline,
    ) -> Result<(), PymdhtError> {
        let left = deadline
            .left(context.clock.now())
            .ok_or(PymdhtError::Unfinished)?;
        self.stream
            .write_all(line, left.min(context.answer_wait))
            .map_err(|error| PymdhtError::Lost(Some(error)))
    }

    /// The next line.
    pub(super) fn next_line(
        &mut self,
        context: &PymdhtContext,
        deadline: Deadline,
    ) -> Result<Line, Cut> {
        loop {
            let (taken, line) = self.decoder.feed(&self.unread);
            self.unread.drain(..taken);
            if let Some(line) = line {
                return Ok(line);
            }
            self.fill(context, deadline)?;
        }
    }

    fn fill(&mut self, context: &PymdhtContext, deadline: Deadline) -> Result<(), Cut> {
        let mut buffer = [0; 2048];
        let count = loop {
            if context.stop.is_stopped() {
                return Err(Cut::Stopped);
            }
            let left = deadline.left(context.clock.now()).ok_or(Cut::Quiet)?;
            match self.stream.read(&mut buffer, left.min(SLICE)) {
                Ok(0) if context.stop.is_stopped() => return Err(Cut::Stopped),
                Ok(0) => return Err(Cut::Closed),
                Ok(count) => break count,
                Err(error) if error.reason == Reason::TimedOut => {}
                Err(error) => return Err(Cut::Broken(error)),
            }
        };
        self.budget = self.budget.checked_sub(count).ok_or(Cut::Flooded)?;
        let read = buffer.get(..count).unwrap_or_default();
        self.unread.extend_from_slice(read);
        Ok(())
    }

    /// Ends the lookup that is under way, if any, says good-bye, and waits a
    /// moment for the node to close first: a node that still writes to a
    /// closed connection may die of it.
    pub(super) fn leave(mut self, context: &PymdhtContext) {
        let wait = LEAVE_WAIT.min(context.answer_wait);
        let deadline = Deadline::after(context.clock.now(), wait);
        let farewell = line::farewell(self.theirs);
        if self.stream.write_all(&farewell, wait).is_err() {
            return;
        }
        let mut buffer = [0; 2048];
        while let Some(left) = deadline.left(context.clock.now())
            && matches!(self.stream.read(&mut buffer, left), Ok(1..))
        {}
    }
}
