//! Reading a result file, also while a run writes it. Any thread; each opens
//! its own connection.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::error::StorageError;

/// Opens the database at `path` for reading only.
///
/// Drop the connection, or end its transactions, soon: one that stays open
/// keeps the writer from making a plain file at the end of the run.
pub fn open(path: &Path) -> Result<Connection, StorageError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(path, flags)
        .and_then(|connection| {
            connection.busy_timeout(Duration::from_secs(5))?;
            Ok(connection)
        })
        .map_err(|source| StorageError::Database {
            path: path.to_owned(),
            step: "opening for reading",
            source,
        })
}
