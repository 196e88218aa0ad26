//! Trackers: who is in the swarm, and how many have downloaded.
//!
//! Each torrent has one [`requester`] thread. In rounds it asks every tracker
//! of its torrent for peers (announce) and figures (scrape):
//!
//! ```text
//! requester ── url ──▶ http (BEP 3, 7, 23, 31, 48) ──▶ net::http
//!     │          └───▶ udp (BEP 15, 41) ─ exchange ──▶ net::udp
//!     ├── board: one scrape for all torrents of a tracker
//!     ├── peers one by one ──▶ PeerIntake
//!     └── Record ──▶ writer            farewell: `stopped` at the end
//! ```
//!
//! [`url`], [`http`] and [`udp`] are pure: bytes in, values out. A request
//! runs on a short-lived thread, so that a stuck one delays nobody who wants
//! to stop. No answer ends a requester: all of them are
//! [`TrackerError`]s with a stable text for the tracker error file.

pub mod announce;
pub mod board;
mod client;
mod error;
pub mod exchange;
#[cfg(test)]
mod fake;
mod families;
mod farewell;
pub mod health;
pub mod http;
pub mod inquiry;
pub mod random;
pub mod requester;
mod round;
mod state;
pub mod udp;
pub mod url;

pub use board::ScrapeBoard;
pub use client::TrackerClient;
pub use error::{RetryIn, TrackerError};
pub use families::{Door, Families, FindFamilies, Place};
pub use farewell::{Farewell, farewell};
pub use health::{TrackerHealth, TrackerStatus};
pub use random::{Random, SystemRandom};
pub use requester::{Requester, TrackerContext, run};
pub use state::TorrentTrackers;

/// Peers taken from one answer; what is beyond is counted and dropped.
pub const PEERS_MAX: usize = 10_000;
