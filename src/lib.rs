//! btda, the BitTorrent Download Analyzer: counts confirmed downloads.
//!
//! A confirmed download is one peer that was seen below a threshold of pieces
//! and later at or above it. Nothing is ever downloaded or uploaded.
//!
//! # Architecture on one page
//!
//! One process, many threads, blocking I/O. Trackers and the DHT name peers;
//! the scheduler holds them until they are due; contact workers visit them,
//! and callers are visited by the same code; one writer thread stores
//! everything.
//!
//! ```text
//! tracker ──offer──▶ analyzer::scheduler ──ticket──▶ workers ──▶ visit ──▶ evaluate
//! dht ─────offer──▶      ▲                                                    │
//!                        └──next due time── policy ◀──────────────────────────┤ Record
//! listener ──caller──▶ visit ──▶ evaluate ──Record──▶ one bounded channel ◀───┘
//!                                                              │
//!                SQLite and files ◀── rows ◀── storage::ledger ◀── storage::Writer
//! ```
//!
//! What decides something is pure (queue, policy, evaluation, codecs, ledger);
//! what waits, locks or does I/O decides nothing.
//!
//! From the outside to the inside:
//!
//! * [`cli`], [`config`], [`exit`], [`signals`]: what is asked for, and how it ends.
//! * [`analyzer`]: the engine; `analyzer::runtime` starts, watches and stops all threads.
//! * [`torrent`]: what is measured. [`tracker`], [`dht`]: who names peers; the
//!   latter with a node of our own.
//! * [`protocol`]: the peer wire protocol and bencoding, bytes in, values out.
//! * [`net`]: the only sockets. [`threads`]: the only start of threads.
//! * [`storage`]: the only SQL; ledger, writer, spool, error files, manifest.
//! * [`hosts`]: host names of peers, by reverse DNS in threads of its own.
//! * [`results`]: the commands that work on result files behind a run.
//! * [`model`], [`intake`], [`inspection`]: types and borders that all of them share.
//! * [`clock`], [`deadline`], [`stop`]: time, the end of a wait, the end of a run.
//! * [`logging`], [`outside`]: the log, and text from outside made harmless;
//!   [`terminal`]: what commands print.
//! * [`report`]: tables and figures of a study from finished results, `btda report`.
//! * [`web`]: the page, `btda serve`; the only async code. [`live`]: what a run
//!   posts for it.
//! * [`observe`]: listens to the DHT, `btda observe`, and searches what it found.
//! * [`lab`]: a practice swarm with known truth, which shares no codec with the
//!   rest; [`lab::trial`] is the command `btda lab`.
//!
//! Threads, channels, invariants and who may know whom are in
//! `ARCHITECTURE.md`; `tests/architecture.rs` enforces the last.

pub mod analyzer;
pub mod cli;
pub mod clock;
pub mod config;
pub mod deadline;
pub mod dht;
pub mod exit;
pub mod hosts;
pub mod inspection;
pub mod intake;
pub mod lab;
pub mod live;
pub mod logging;
pub mod model;
pub mod net;
pub mod observe;
pub mod outside;
pub mod protocol;
pub mod report;
pub mod results;
pub mod signals;
pub mod stop;
pub mod storage;
pub mod terminal;
pub mod threads;
pub mod torrent;
pub mod tracker;
pub mod web;
