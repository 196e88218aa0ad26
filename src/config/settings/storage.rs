//! Checked values of `[storage]`, and of the keys that decide what is stored.

use std::path::PathBuf;
use std::time::Duration;

use super::Identity;

/// The database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageSettings {
    /// `storage.geolocation_database`: `GeoLite2` City or alike.
    pub geolocation: Option<PathBuf>,
    /// `run.identity`: who a caller is.
    pub identity: Identity,
    /// `visit.speed_gap_seconds`: least time between two visits that make a
    /// speed; zero: any, as if a second at least.
    pub speed_gap: Duration,
    /// `evidence.zero_visits`: visits without a piece from which on a peer is
    /// doubted.
    pub zero_visits: u32,
    /// `evidence.zero_seconds`: the time over which they must spread.
    pub zero_time: Duration,
    /// `storage.batch_rows`: rows in one transaction at most.
    pub batch_rows: usize,
    /// `storage.batch_interval_seconds`: time between commits at most.
    pub batch_interval: Duration,
    /// `storage.queue_length`: records that wait for the writer at most.
    pub queue_length: usize,
    /// `storage.memory_rows`: rows kept in memory while the database takes
    /// none.
    pub memory_rows: usize,
    /// `storage.spool_folder`: where those beyond go, when the output folder
    /// does not take them.
    pub spool_folder: PathBuf,
    /// `storage.spool_max_bytes`: largest size of all spool files together.
    pub spool_max_bytes: u64,
    /// `rec_dur_analysis`: write the timeout calibration files.
    pub calibration: bool,
    /// Line of the calibration (`storage.calibration_cut_seconds`).
    pub calibration_cut: Duration,
}
