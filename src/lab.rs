//! A practice swarm on loopback whose truth is known to the piece.
//!
//! A measuring instrument needs a standard. The lab is the other side of the
//! measurement: peers, callers and trackers that do what a plan made from
//! a seed says, honest and faulty ones, and that keep every contact in a
//! truth file. Tests and benchmarks use it, and so does `btda lab`.
//!
//! It is an independent implementation of the wire formats: nothing here uses
//! `crate::protocol` or `crate::tracker`, so that an error in the analyzer's
//! codecs cannot hide behind the same error on the other side.
//!
//! All sockets are on loopback. Unlike the rest of the program the lab opens
//! its sockets itself; they are not what is measured.

pub mod script;
pub mod scripted_tracker;
mod sockets;
pub mod wire;

pub use script::{ScriptedCaller, ScriptedPeer, Step};
pub use scripted_tracker::{HttpRequest, Reply, ScriptedTracker};
