//! A node of the mainline DHT (BEP 5) of our own.
//!
//! ```text
//!                     ┌─ thread dht4 ──────────────────────────────┐
//! DhtHandle ─ lookup ─┼▶ core ─ routing, lookups, server, upkeep   │
//!     ▲               │    │ packets                               │
//!     └─ LookupEvent ─┼────┤     └─▶ krpc ─▶ net::datagram         │
//! QueryHook ◀─────────┼────┘                                       │
//!                     └─ thread dht6: the same for IPv6 ───────────┘
//! ```
//!
//! Everything below [`thread`](self) but the threads themselves and
//! [`persist`] is pure: packets and the time go in, packets come out. Which
//! BEPs are spoken: 5, 32 (IPv6), 33 (answers to scrapes), 42 (ids bound to
//! addresses), 43 (read-only), 51 (samples of torrents).
//!
//! What others send is bounded in memory and time everywhere: packets of
//! 4 KiB without recursion, tables and queues of fixed size, a budget for
//! answers in all and for each address, replies only to questions and only
//! from whom was asked.

pub mod address;
mod board;
mod core;
mod handle;
pub mod hook;
pub mod id;
pub mod krpc;
pub mod lookup;
pub mod machine;
pub mod peers_store;
pub mod persist;
pub mod probe;
pub mod random;
pub mod rate;
mod reach;
pub mod routing;
pub mod scrape;
mod seat;
pub mod server;
pub mod settings;
mod sink;
pub mod status;
mod thread;
pub mod tokens;
mod transactions;

pub use handle::{DhtError, DhtHandle, DhtNode, LookupRefused, LookupRequest, STACK};
pub use settings::DhtSettings;
pub use sink::{LookupEvent, LookupSummary};
pub use status::DhtStatus;
