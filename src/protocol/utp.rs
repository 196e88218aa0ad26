//! uTP (BEP 29): a reliable byte stream over datagrams, sans-IO.
//!
//! Packets, calls of the application and the time go in; packets and news of
//! streams come out. [`endpoint`] holds all connections of one UDP socket and
//! tells them apart; it is used by `net::utp`, under that socket's lock.
//!
//! What a connection may cost is bounded, whatever the other side sends:
//! [`RECEIVE_MAX`] bytes that were not yet read, [`EARLY_MAX`] packets that
//! came before their turn (within the same bytes), [`SEND_MAX`] bytes that
//! were not yet acknowledged. None of it is taken before it is needed. A
//! caller that has not yet shown that its address is its own takes nothing
//! (`cookie`).
//!
//! Where the BEP and the implementations that are in use differ, we do as
//! those: the answer to a SYN does not use up a sequence number.

mod congestion;
mod connection;
mod cookie;
mod delay;
pub mod endpoint;
mod inbox;
mod outbox;
pub mod packet;
mod recent;
mod sequence;

/// Bytes of a stream that arrived and were not read: the window we advertise.
pub const RECEIVE_MAX: usize = 32 * 1024;

/// Packets that arrived before an earlier one.
pub const EARLY_MAX: usize = 64;

/// Bytes written and not yet acknowledged; a writer waits for room.
pub const SEND_MAX: usize = 16 * 1024;

/// Why a stream is at its end before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// The other side answered the call with a reset.
    Refused,
    /// The other side reset the connection.
    Reset,
    /// Nothing was acknowledged, however often it was sent.
    TimedOut,
}
