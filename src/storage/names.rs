//! Host names of new peers: who is asked for them, and the file in which the
//! script of 2015 finds them. Writer thread, and `btda export`.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::combine::uri;
use super::doctor::{beside, has_table};
use super::error::StorageError;
use super::geo::{Locate, Location};

/// Somebody who finds out host names and sends them as records.
pub trait AskName: Send {
    /// A new peer. Must not wait.
    fn ask(&self, peer: i64, address: IpAddr);
}

/// Places, and a question for the name of each new peer.
pub(super) struct PlacesAndNames {
    places: Box<dyn Locate>,
    names: Box<dyn AskName>,
}

impl PlacesAndNames {
    /// `places` alone where no names are asked for.
    pub(super) fn around(
        places: Box<dyn Locate>,
        names: Option<Box<dyn AskName>>,
    ) -> Box<dyn Locate> {
        match names {
            Some(names) => Box::new(Self { places, names }),
            None => places,
        }
    }
}

impl Locate for PlacesAndNames {
    fn locate(&self, ip: IpAddr) -> Location {
        self.places.locate(ip)
    }

    fn stored(&self, id: i64, ip: IpAddr) {
        self.names.ask(id, ip);
    }
}

/// Writes `<stem>_hosts.sqlite` beside the database at `path`: a table `peer`
/// of 15 columns, `host` being the second (contract section 5). `None` when no
/// peer has a name, for the script fails then; a file that is there is
/// replaced as a whole.
pub fn write_hosts(path: &Path) -> Result<Option<PathBuf>, StorageError> {
    let file = beside(path, "_hosts.sqlite");
    let temporary = beside(path, "_hosts.sqlite.tmp");
    let written = fill(path, &temporary).map_err(|source| StorageError::Database {
        path: file.clone(),
        step: "writing host names",
        source,
    });
    let moved = match written {
        Ok(true) => std::fs::rename(&temporary, &file).map_err(|source| StorageError::File {
            path: file.clone(),
            source,
        }),
        Ok(false) => Ok(()),
        Err(error) => Err(error),
    };
    let made = file.exists() && !temporary.exists();
    // It is not there when it got its name.
    let _ = std::fs::remove_file(&temporary);
    moved.map(|()| made.then_some(file))
}

/// Whether there was any name.
fn fill(path: &Path, temporary: &Path) -> rusqlite::Result<bool> {
    let _ = std::fs::remove_file(temporary);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let source = Connection::open_with_flags(
        uri(path, "ro"),
        flags & !OpenFlags::SQLITE_OPEN_CREATE & !OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_READ_ONLY,
    )?;
    if !has_table(&source, "host")? {
        return Ok(false);
    }
    let sql = "SELECT EXISTS (SELECT 1 FROM host WHERE host IS NOT NULL)";
    if !source.query_row(sql, [], |row| row.get(0))? {
        return Ok(false);
    }
    source.close().map_err(|(_, error)| error)?;
    let target = Connection::open_with_flags(uri(temporary, "rwc"), flags)?;
    target.execute("ATTACH ? AS run", [uri(path, "ro")])?;
    target.execute_batch(HOSTS)?;
    target.execute_batch("DETACH run")?;
    target.close().map_err(|(_, error)| error)?;
    Ok(true)
}

const HOSTS: &str = "BEGIN;
CREATE TABLE peer (
    id INTEGER PRIMARY KEY,
    host TEXT,
    client TEXT,
    continent TEXT,
    country TEXT,
    latitude REAL,
    longitude REAL,
    first_pieces INTEGER,
    last_pieces INTEGER,
    first_seen INTEGER,
    last_seen INTEGER,
    max_speed REAL,
    visits INTEGER,
    source VARCHAR(8),
    torrent INTEGER
);
INSERT INTO peer SELECT id, host.host, client, continent, country, latitude, longitude, first_pieces, last_pieces,
    first_seen, last_seen, max_speed, visits, source, torrent
FROM run.peer LEFT JOIN run.host ON host.peer = peer.id ORDER BY id;
COMMIT;";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::database::SCHEMA;

    #[test]
    fn every_peer_with_its_name_or_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run 1?.sqlite");
        let run = Connection::open(&path).unwrap();
        run.execute_batch(SCHEMA).unwrap();
        run.execute_batch(
            "INSERT INTO torrent VALUES (1, '', x'00', 'ab', 10, 16384, 9, 'a', 'a', 0.1);
             INSERT INTO peer (id, first_pieces, first_seen, visits, source, torrent)
             VALUES (1, 3, 0, 1, 'tracker', 1), (2, 4, 0, 1, 'incoming', 1);
             INSERT INTO host VALUES (1, 5, 'no name', NULL, NULL);",
        )
        .unwrap();
        assert_eq!(write_hosts(&path).unwrap(), None);
        run.execute_batch("INSERT INTO host VALUES (2, 5, 'name', 'co.uk', 'example.co.uk')")
            .unwrap();
        let file = write_hosts(&path).unwrap().unwrap();
        assert_eq!(file, folder.path().join("run 1?_hosts.sqlite"));
        assert_eq!(write_hosts(&path).unwrap(), Some(file.clone()));
        let hosts = Connection::open(file).unwrap();
        let mut query = hosts.prepare("SELECT * FROM peer ORDER BY id").unwrap();
        assert_eq!(
            (query.column_count(), query.column_name(1).unwrap()),
            (15, "host")
        );
        let names = query.query_map([], |row| row.get(1)).unwrap();
        let names: Vec<Option<String>> = names.map(Result::unwrap).collect();
        assert_eq!(names, [None, Some("co.uk".to_owned())]);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
