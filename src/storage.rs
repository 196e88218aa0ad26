//! Everything that writes results: the database, the error files, the
//! manifest and the calibration files.
//!
//! One thread, the writer, owns the only SQLite connection. It receives
//! [`crate::model::record::Record`]s over one bounded channel, lets the pure
//! [`ledger`] turn them into rows, and stores the rows in batches:
//!
//! ```text
//! Record ──▶ ledger (once) ──▶ Row … kept until committed ──▶ SQLite (WAL)
//!                 │               └── memory full ──▶ spool file ──▲
//!                 └── counts ──▶ error files, at each tick and at the end
//! ```
//!
//! What the files must look like is fixed by the 2015 evaluation scripts; the
//! data dictionary is `storage/schema/1.sql`.

pub mod archive;
mod calibration;
pub mod combine;
mod database;
pub mod doctor;
mod error;
pub mod export;
mod files;
#[cfg(test)]
mod fixture;
mod form;
pub mod geo;
pub mod history;
pub mod ledger;
mod lost;
mod manifest;
mod names;
pub mod observatory;
pub mod overview;
mod progress;
mod queue;
pub mod reader;
mod results;
pub mod row;
pub mod search;
pub mod spool;
mod stem;
pub mod stopper;
mod text;
mod writer;

pub use calibration::calibration_text;
pub use error::StorageError;
pub use files::{peer_error_text, tracker_error_text};
pub use lost::lost_statement;
pub use names::{AskName, write_hosts};
pub use progress::Progress;
pub use results::{Results, StoredPeer, StoredTorrent};
pub use stem::{Claim, Stem};
pub use writer::{Patience, Summary, Writer, WriterSetup};
