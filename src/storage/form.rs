//! Files of SQLite with a form of their own, beside the results of runs: those
//! of the observatory. Opened for one writer and any number of readers (write-
//! ahead log), and never taken over from another program.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::error::StorageError;

/// How long a statement waits for another connection.
const BUSY: Duration = Duration::from_secs(2);

/// What a file must say of itself.
pub(super) struct Form {
    /// `application_id`.
    pub(super) application: i32,
    /// `user_version`.
    pub(super) version: i32,
    /// Statements that make its tables.
    pub(super) schema: &'static str,
}

impl Form {
    /// Opens the file, or makes it; an empty database becomes one.
    pub(super) fn open(&self, path: &Path) -> Result<Connection, StorageError> {
        let failed = |step| {
            move |source| StorageError::Database {
                path: path.to_owned(),
                step,
                source,
            }
        };
        let connection = Connection::open(path).map_err(failed("opening"))?;
        connection.busy_timeout(BUSY).map_err(failed("opening"))?;
        let empty = "SELECT count(*) = 0 FROM sqlite_master";
        let is_new: bool = connection
            .query_row(empty, (), |row| row.get(0))
            .map_err(failed("reading its form"))?;
        let is_new = is_new && numbers(&connection, path)? == (0, 0);
        if !is_new {
            self.check(&connection, path)?;
        }
        connection
            .execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;")
            .map_err(failed("opening"))?;
        if is_new {
            let Self {
                application,
                version,
                schema,
                ..
            } = self;
            connection
                .execute_batch(&format!(
                    "BEGIN; PRAGMA application_id = {application}; \
                     PRAGMA user_version = {version};\n{schema}\nCOMMIT;"
                ))
                .map_err(failed("making its tables"))?;
        }
        Ok(connection)
    }

    /// Opens the file to read it.
    pub(super) fn read(&self, path: &Path) -> Result<Connection, StorageError> {
        let failed = |source| StorageError::Unreadable {
            path: path.to_owned(),
            step: "opening",
            source,
        };
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
        connection.busy_timeout(BUSY).map_err(failed)?;
        self.check(&connection, path)?;
        Ok(connection)
    }

    fn check(&self, connection: &Connection, path: &Path) -> Result<(), StorageError> {
        if numbers(connection, path)? == (self.application, self.version) {
            Ok(())
        } else {
            Err(StorageError::OtherForm(path.to_owned()))
        }
    }
}

/// `application_id` and `user_version`; both 0 where nobody set them.
fn numbers(connection: &Connection, path: &Path) -> Result<(i32, i32), StorageError> {
    let number = |name| {
        let number = connection.pragma_query_value(None, name, |row| row.get(0));
        number.map_err(|source| StorageError::Unreadable {
            path: path.to_owned(),
            step: "reading its form",
            source,
        })
    };
    Ok((number("application_id")?, number("user_version")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORM: Form = Form {
        application: 7,
        version: 2,
        schema: "CREATE TABLE thing (name TEXT);",
    };

    #[test]
    fn a_file_is_made_once_and_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("things.sqlite");
        assert!(FORM.read(&path).is_err(), "nobody made it");
        for name in ["a", "b"] {
            let connection = FORM.open(&path).unwrap();
            let put = connection.execute("INSERT INTO thing VALUES (?)", [name]);
            assert_eq!(put.unwrap(), 1);
        }
        let connection = FORM.read(&path).unwrap();
        let count = connection.query_row("SELECT count(*) FROM thing", (), |row| row.get(0));
        assert_eq!(count, Ok(2));
        assert!(connection.execute("DELETE FROM thing", ()).is_err());
    }

    #[test]
    fn files_of_others_are_left_as_they_are() {
        let folder = tempfile::tempdir().unwrap();
        for (name, made) in [
            ("other", "CREATE TABLE other (name TEXT);"),
            (
                "newer",
                "CREATE TABLE thing (name TEXT); PRAGMA application_id = 7; PRAGMA user_version = 3;",
            ),
        ] {
            let path = folder.path().join(name);
            Connection::open(&path)
                .unwrap()
                .execute_batch(made)
                .unwrap();
            let before = std::fs::read(&path).unwrap();
            for opened in [FORM.open(&path), FORM.read(&path)] {
                assert!(
                    matches!(opened, Err(StorageError::OtherForm(_))),
                    "{opened:?}"
                );
            }
            assert_eq!(std::fs::read(&path).unwrap(), before);
        }
        let path = folder.path().join("text");
        std::fs::write(
            &path,
            "no database, but long enough to be taken for one".repeat(99),
        )
        .unwrap();
        assert!(FORM.open(&path).is_err() && FORM.read(&path).is_err());
    }
}
