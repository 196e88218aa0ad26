//! The receiving half of a connection: puts packets into their order.

use std::collections::VecDeque;

use super::sequence::ahead;
use super::{EARLY_MAX, RECEIVE_MAX};

/// Capacity that an emptied buffer may keep.
const KEPT_CAPACITY: usize = 2 * 1024;

/// What arrived.
#[derive(Debug)]
pub(super) struct Inbox {
    /// Last packet that arrived in order.
    last: u16,
    /// Bytes in order, not yet read.
    ready: VecDeque<u8>,
    /// Packets behind a gap: index 0 is `last + 2`.
    early: VecDeque<Option<Vec<u8>>>,
    early_bytes: usize,
    /// Number of the packet that ends the stream.
    end: Option<u16>,
    /// Nobody reads any more: bytes are acknowledged and dropped.
    discards: bool,
}

impl Inbox {
    /// An inbox whose first packet is the one behind `last`.
    pub(super) const fn new(last: u16) -> Self {
        Self {
            last,
            ready: VecDeque::new(),
            early: VecDeque::new(),
            early_bytes: 0,
            end: None,
            discards: false,
        }
    }

    /// Last packet that arrived in order.
    pub(super) const fn last(&self) -> u16 {
        self.last
    }

    /// Bytes that there is room for.
    pub(super) fn window(&self) -> usize {
        RECEIVE_MAX.saturating_sub(self.ready.len())
    }

    /// Whether everything up to the end of the stream has arrived.
    pub(super) fn has_ended(&self) -> bool {
        self.end == Some(self.last)
    }

    /// Bytes that can be read.
    pub(super) fn available(&self) -> usize {
        self.ready.len()
    }

    /// Memory held for bytes that arrived.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.ready.len() + self.early_bytes
    }

    /// Takes a packet in; `ends` marks the last of the stream. Duplicates,
    /// packets behind the end, and what there is no room for are dropped.
    pub(super) fn take(&mut self, sequence: u16, payload: &[u8], ends: bool) {
        let distance = ahead(sequence, self.last);
        if distance < 1 || self.end.is_some_and(|end| ahead(sequence, end) > 0) {
            return;
        }
        let payload = if self.discards || ends { &[] } else { payload };
        if self.ready.len() + self.early_bytes + payload.len() > RECEIVE_MAX {
            return;
        }
        if distance == 1 {
            self.last = sequence;
            self.note_end(sequence, ends);
            self.ready.extend(payload);
            self.close_gap();
        } else if self.keep_early(distance, payload) {
            self.note_end(sequence, ends);
        }
    }

    /// The first end that is told holds.
    fn note_end(&mut self, sequence: u16, ends: bool) {
        if ends && self.end.is_none() {
            self.end = Some(sequence);
        }
    }

    fn keep_early(&mut self, distance: i32, payload: &[u8]) -> bool {
        let Some(index) = usize::try_from(distance - 2)
            .ok()
            .filter(|i| *i < EARLY_MAX)
        else {
            return false;
        };
        if self.early.len() <= index {
            self.early.resize(index + 1, None);
        }
        match self.early.get_mut(index) {
            Some(slot @ None) => {
                self.early_bytes += payload.len();
                *slot = Some(payload.to_vec());
                true
            }
            _ => false,
        }
    }

    /// Moves what follows in order out of the early packets.
    fn close_gap(&mut self) {
        // The packet that just came stood before index 0.
        while !self.has_ended()
            && let Some(Some(payload)) = self.early.pop_front()
        {
            self.last = self.last.wrapping_add(1);
            self.early_bytes -= payload.len();
            if !self.discards {
                self.ready.extend(payload);
            }
        }
        if self.has_ended() {
            // A peer may have numbered packets behind its end.
            self.early = VecDeque::new();
            self.early_bytes = 0;
        } else if self.early.is_empty() {
            self.early = VecDeque::new();
        }
    }

    /// Reads what is ready into `buffer`.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> usize {
        let length = buffer.len().min(self.ready.len());
        for (to, from) in buffer.iter_mut().zip(self.ready.drain(..length)) {
            *to = from;
        }
        if self.ready.is_empty() && self.ready.capacity() > KEPT_CAPACITY {
            self.ready = VecDeque::new();
        }
        length
    }

    /// From now on nobody reads.
    pub(super) fn discard(&mut self) {
        self.discards = true;
        self.ready = VecDeque::new();
        for slot in self.early.iter_mut().flatten() {
            *slot = Vec::new();
        }
        self.early_bytes = 0;
    }

    /// Bits for a selective acknowledgement, empty when there is no gap.
    pub(super) fn selective(&self) -> Vec<u8> {
        let length = self.early.len().div_ceil(32) * 4;
        let mut bits = vec![0; length];
        for (index, _) in self
            .early
            .iter()
            .enumerate()
            .filter(|(_, slot)| slot.is_some())
        {
            if let Some(byte) = bits.get_mut(index / 8) {
                *byte |= 1_u8 << (index % 8);
            }
        }
        bits
    }
}

#[cfg(test)]
mod tests;
