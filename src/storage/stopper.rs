//! Ends what a connection reads, from another thread: whoever waits for an
//! answer has a deadline that SQLite does not know.

use std::fmt;

use rusqlite::{Connection, InterruptHandle};

/// Ends the statements that a connection is running; they fail.
pub struct Stopper(InterruptHandle);

impl Stopper {
    pub(super) fn of(connection: &Connection) -> Self {
        Self(connection.get_interrupt_handle())
    }

    /// Ends what runs now. Of a connection that is closed, nothing.
    pub fn stop(&self) {
        self.0.interrupt();
    }
}

impl fmt::Debug for Stopper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stopper")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_without_end_ends() {
        let connection = Connection::open_in_memory().unwrap();
        let stopper = Stopper::of(&connection);
        let endless = "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) \
                       SELECT count(*) FROM n";
        let (begun_send, begun) = crossbeam_channel::bounded(0);
        let (end, ended) = crossbeam_channel::bounded(1);
        let thread = std::thread::spawn(move || {
            begun_send.send(()).unwrap();
            let error = connection.query_row(endless, [], |row| row.get::<_, i64>(0));
            end.send(()).unwrap();
            error.unwrap_err().sqlite_error_code()
        });
        begun.recv().unwrap();
        // It may not have begun yet: what does not run cannot be ended.
        while ended.is_empty() {
            stopper.stop();
            std::thread::yield_now();
        }
        let code = thread.join().unwrap();
        assert_eq!(code, Some(rusqlite::ErrorCode::OperationInterrupted));
        stopper.stop();
    }
}
