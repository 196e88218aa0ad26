//! The observatory: listens to the DHT, keeps what it hears as time series,
//! resolves torrents and lets them be searched (`btda observe`, `btda search`).
//!
//! ```text
//! DHT nodes ─ QueryHook ─▶ bounded channel ─┐
//! resolver ─ resolve records ───────────────┼▶ thread observe-write
//! replayed files ───────────────────────────┘      │
//!        rules ▶ block list ▶ place ▶ names ▶ ┌────┴─────┐
//!                                     slices ◀┤ pipeline ├▶ minutes, search index
//!                                             └──────────┘
//! ```
//!
//! What decides is pure (records, rules, naming, queue, estimates); one thread
//! owns all files. What is heard is bounded by the channel: what it cannot
//! take is counted as lost, and the nodes answer on.

pub mod block;
pub mod command;
mod listen;
pub mod live;
pub mod naming;
mod nodes;
mod page;
pub mod pipeline;
pub mod queue;
pub mod record;
pub mod resolver;
pub mod rules;
pub mod search_command;
pub mod settings;
pub mod size;
pub mod slices;
mod standard_input;
mod station;
pub mod survey;
pub mod terms;
pub mod walk;
pub mod writer;
