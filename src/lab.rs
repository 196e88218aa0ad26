//! A practice swarm on loopback whose truth is known to the piece.
//!
//! A measuring instrument needs a standard. The lab is the other side of the
//! measurement: peers, callers, trackers and a DHT that do what a [`Plan`] made from
//! a seed says, honest and faulty ones, and that write every contact down in
//! the [`Truth`]. Tests and benchmarks use it, and so does `btda lab`.
//!
//! It is an independent implementation of the wire formats: nothing here uses
//! `crate::protocol` or `crate::tracker`, so that an error in the analyzer's
//! codecs cannot hide behind the same error on the other side. Two exceptions
//! are below these formats: uTP and message stream encryption (`channel`).
//!
//! All sockets are on loopback. Unlike the rest of the program the lab opens
//! its sockets itself; they are not what is measured.

mod behaviour;
mod bencode;
mod caller;
mod channel;
mod dht;
mod doors;
mod judge;
mod manner;
mod peer;
mod plan;
mod pool;
pub mod pymdht;
mod random;
mod reach;
pub mod script;
pub mod scripted_tracker;
mod serve;
mod sockets;
mod story;
mod swarm;
mod tracker;
pub mod trial;
mod truth;
mod tunnel;
pub mod wire;

pub use behaviour::Behaviour;
pub use dht::DhtCounts;
pub use judge::{
    ClassJudgement, CrossingJudgement, Failures, Judge, Judgement, MagnetJudgement, Terms,
    TorrentJudgement, Ways,
};
pub use manner::MetadataManner;
pub use plan::{
    LabOptions, NamedBy, Plan, PlanDigest, PlannedCall, PlannedMagnet, PlannedNode, PlannedParty,
    PlannedTorrent, Progress,
};
pub use pymdht::{PymdhtLookup, PymdhtStep, ScriptedPymdht};
pub use reach::Reach;
pub use script::{ScriptedCaller, ScriptedPeer, Step};
pub use scripted_tracker::{HttpRequest, Reply, ScriptedTracker};
pub use swarm::Swarm;
pub use tracker::{TrackerCounts, TrackerMode};
pub use truth::{
    Contact, End, Expected, MagnetCounts, MetadataContact, Rules, Truth, read_contacts,
};
