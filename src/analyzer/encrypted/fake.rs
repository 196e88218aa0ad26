//! Peers that speak MSE, as streams without a socket: what we write goes into
//! the other side's machine, and what that says comes back. For tests.

use std::time::Duration;

use crate::model::{InfoHash, Link};
use crate::net::{NetError, Operation, Stream};
use crate::protocol::mse::{
    Chance, DIGEST_LEN, Initiator, Method, Methods, Responder, Sealed, Torrents, torrent_hash,
};

/// The other side of a connection.
pub(crate) struct Far {
    machine: Machine,
    sealed: Option<Sealed>,
    /// On its way to us.
    coming: Vec<u8>,
    /// Most bytes of one read.
    chunk: usize,
    /// What it says once it has heard a whole handshake.
    says: Vec<u8>,
    /// What it heard, decrypted.
    pub(crate) heard: Vec<u8>,
}

enum Machine {
    Responder(Responder),
    Initiator(Initiator),
}

/// Knows one torrent.
struct One(InfoHash);

impl Torrents for One {
    fn by_torrent_hash(&self, hash: &[u8; DIGEST_LEN]) -> Option<InfoHash> {
        (torrent_hash(&self.0) == *hash).then_some(self.0)
    }
}

pub(crate) const SKEY: InfoHash = InfoHash::new([7; 20]);

pub(crate) fn chance(seed: u8, pad: usize) -> Chance {
    Chance {
        exponent: [seed; 20],
        pad: vec![seed; pad],
        inner_pad: u16::try_from(pad).unwrap(),
    }
}

impl Far {
    /// A peer that we call; it answers our handshake by `says`.
    pub(crate) fn called(method: Method, chunk: usize, says: Vec<u8>) -> Self {
        Self {
            machine: Machine::Responder(Responder::new(method, &chance(3, 33))),
            sealed: None,
            coming: Vec::new(),
            chunk,
            says,
            heard: Vec::new(),
        }
    }

    /// A peer that calls us: `initial` goes with its handshake, `says` after
    /// ours.
    pub(crate) fn calls(
        (skey, offers): (InfoHash, Methods),
        chunk: usize,
        initial: &[u8],
        says: Vec<u8>,
    ) -> Self {
        let mut coming = Vec::new();
        let initiator = Initiator::new(skey, offers, initial, &chance(5, 55), &mut coming);
        Self {
            machine: Machine::Initiator(initiator),
            sealed: None,
            coming,
            chunk,
            says,
            heard: Vec::new(),
        }
    }

    fn hear(&mut self, sealed: &mut Sealed, bytes: &[u8]) {
        let mut bytes = bytes.to_vec();
        sealed.decrypt.apply(&mut bytes);
        self.heard.extend(bytes);
        if self.heard.len() >= 68 {
            let mut says = std::mem::take(&mut self.says);
            sealed.encrypt.apply(&mut says);
            self.coming.extend(says);
        }
    }
}

impl Stream for Far {
    /// Closes when it has nothing more to say.
    fn read(&mut self, buffer: &mut [u8], _: Duration) -> Result<usize, NetError> {
        let length = self.coming.len().min(self.chunk).min(buffer.len());
        for (slot, byte) in buffer.iter_mut().zip(self.coming.drain(..length)) {
            *slot = byte;
        }
        Ok(length)
    }

    fn write_all(&mut self, bytes: &[u8], wait: Duration) -> Result<(), NetError> {
        if wait.is_zero() {
            return Err(NetError::timed_out(Operation::Write));
        }
        if let Some(mut sealed) = self.sealed.take() {
            self.hear(&mut sealed, bytes);
            self.sealed = Some(sealed);
            return Ok(());
        }
        let (used, sealed) = match &mut self.machine {
            Machine::Responder(machine) => {
                let used = machine.feed(bytes, &One(SKEY), &mut self.coming);
                (used, machine.sealed())
            }
            Machine::Initiator(machine) => {
                let used = machine.feed(bytes, &mut self.coming);
                (used, machine.sealed())
            }
        };
        let used = used.expect("we speak by the rules");
        if let Some(mut sealed) = sealed {
            self.hear(&mut sealed, &bytes[used..]);
            self.sealed = Some(sealed);
        }
        Ok(())
    }

    fn link(&self) -> Link {
        Link::PLAIN_TCP
    }
}
