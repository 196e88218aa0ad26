//! Our own node as the source of the DHT thread.

use std::sync::Arc;

use crossbeam_channel::{RecvTimeoutError, select};

use crate::clock::Clock;
use crate::deadline::Deadline;
use crate::model::{InfoHash, PeerAddress};
use crate::stop::StopToken;

use super::node::{DhtHandle, LookupEvent, LookupRequest};
use super::requester::{DhtBackend, DhtError};

/// A node of ours that looks peers up for the DHT thread.
pub struct OwnNode {
    handle: Arc<DhtHandle>,
    clock: Arc<dyn Clock>,
    stop: StopToken,
}

impl OwnNode {
    /// Asks the node behind `handle`; lookups end when the run does.
    pub fn new(handle: Arc<DhtHandle>, clock: Arc<dyn Clock>, stop: StopToken) -> Self {
        Self {
            handle,
            clock,
            stop,
        }
    }
}

impl DhtBackend for OwnNode {
    fn lookup(
        &mut self,
        info_hash: InfoHash,
        announce_port: Option<u16>,
        deadline: Deadline,
        found: &mut dyn FnMut(PeerAddress),
    ) -> Result<(), DhtError> {
        let request = LookupRequest {
            info_hash,
            announce_port,
            private: false,
            limit: deadline.left(self.clock.now()).unwrap_or_default(),
        };
        let events = self
            .handle
            .lookup(&request)
            .map_err(|error| DhtError::Failed(error.to_string()))?;
        loop {
            let left = deadline.left(self.clock.now()).unwrap_or_default();
            let event = select! {
                recv(events) -> event => event.map_err(|_| RecvTimeoutError::Disconnected),
                recv(self.stop.channel()) -> _ => return Err(DhtError::Stopped),
                // The node itself keeps to the limit; this is for its death.
                default(left + GRACE) => Err(RecvTimeoutError::Timeout),
            };
            match event {
                Ok(LookupEvent::Peers(peers)) => peers.into_iter().for_each(&mut *found),
                Ok(LookupEvent::Done(_)) => return Ok(()),
                Err(RecvTimeoutError::Timeout) => return Err(DhtError::TimedOut),
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(DhtError::Failed(
                        "the DHT node failed or has ended".to_owned(),
                    ));
                }
            }
        }
    }

    fn name(&self) -> &'static str {
        "own"
    }
}

/// How long the end of a lookup may be late.
const GRACE: std::time::Duration = std::time::Duration::from_secs(1);
