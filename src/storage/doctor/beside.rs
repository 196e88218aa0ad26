//! The files beside a database: error files, manifest, spool files, log.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::kind::{Kind, has_table};
use super::{Findings, Repair, Run};

/// A line of the tracker error file less its count: torrent, URL, result,
/// reason.
pub(in crate::storage) type TrackerLine = (i64, String, String, String);

/// What the error files say, or the tables that mirror them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::storage) struct Errors {
    /// Event and reason.
    pub(in crate::storage) peers: BTreeMap<(String, String), i64>,
    pub(in crate::storage) trackers: BTreeMap<TrackerLine, i64>,
}

impl Errors {
    /// Those of the run: the tables of ours, the files of 2015. `None` where
    /// there are none.
    pub(super) fn of(run: &Run<'_>) -> rusqlite::Result<Option<Self>> {
        if run.kind == Kind::Thesis2015 {
            return Ok(Self::files(run.path).ok());
        }
        Self::tables(run.database)
    }

    /// Tables `peer_error` and `tracker_result`.
    pub(in crate::storage) fn tables(database: &Connection) -> rusqlite::Result<Option<Self>> {
        if !has_table(database, "peer_error")? || !has_table(database, "tracker_result")? {
            return Ok(None);
        }
        Self::tables_of(database, "main").map(Some)
    }

    /// The same of an attached database, whose tables are there.
    pub(in crate::storage) fn tables_of(
        database: &Connection,
        name: &str,
    ) -> rusqlite::Result<Self> {
        let mut errors = Self::default();
        let sql = format!("SELECT event, reason, count FROM {name}.peer_error WHERE count > 0");
        let mut query = database.prepare(&sql)?;
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            let key = (row.get(0)?, row.get(1)?);
            *errors.peers.entry(key).or_default() += row.get::<_, i64>(2)?;
        }
        let sql = format!("SELECT torrent, url, result, reason, count FROM {name}.tracker_result");
        let mut query = database.prepare(&sql)?;
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            let key = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
            *errors.trackers.entry(key).or_default() += row.get::<_, i64>(4)?;
        }
        Ok(errors)
    }

    /// Both files beside `database`.
    ///
    /// # Errors
    /// When one is missing, or a line of it has another form.
    pub(in crate::storage) fn files(database: &Path) -> io::Result<Self> {
        let mut errors = Self::default();
        for line in lines(&beside(database, PEER_ERRORS))? {
            let [event, reason, count] = fields(&line)?;
            let count = number(count)?;
            *errors
                .peers
                .entry((event.to_owned(), reason.to_owned()))
                .or_default() += count;
        }
        for line in lines(&beside(database, TRACKER_ERRORS))? {
            let [torrent, url, result, reason, count] = fields(&line)?;
            let key = (
                number(torrent)?,
                url.to_owned(),
                result.to_owned(),
                reason.to_owned(),
            );
            *errors.trackers.entry(key).or_default() += number(count)?;
        }
        Ok(errors)
    }

    pub(super) fn first_contacts(&self) -> i64 {
        let lines = self.peers.iter();
        lines
            .filter(|((event, _), _)| event == "First contact")
            .map(|(_, count)| count)
            .sum()
    }

    /// How often `result` happened, at one tracker or at all.
    pub(super) fn tracker(&self, torrent: i64, result: &str, url: Option<&str>) -> i64 {
        let lines = self.trackers.iter();
        lines
            .filter(|((whose, _, what, _), _)| *whose == torrent && what == result)
            .filter(|((_, at, _, _), _)| url.is_none_or(|url| at == url))
            .map(|(_, count)| count)
            .sum()
    }

    /// The peer error file (contract section 6).
    pub(in crate::storage) fn peer_text(&self) -> String {
        let lines: Vec<String> = self
            .peers
            .iter()
            .map(|((event, reason), count)| format!("{event},{reason},{count}"))
            .collect();
        lines.join("\n")
    }

    /// The tracker error file.
    pub(in crate::storage) fn tracker_text(&self) -> Result<String, csv::Error> {
        let mut writer = csv::WriterBuilder::new()
            .terminator(csv::Terminator::Any(b'\n'))
            .from_writer(Vec::new());
        for ((torrent, url, result, reason), count) in &self.trackers {
            writer.write_record([
                &torrent.to_string(),
                url,
                result,
                reason,
                &count.to_string(),
            ])?;
        }
        let bytes = writer
            .into_inner()
            .map_err(|error| csv::Error::from(io::Error::other(error.to_string())))?;
        let mut text = String::from_utf8_lossy(&bytes).into_owned();
        text.truncate(text.trim_end_matches('\n').len());
        Ok(text)
    }
}

/// Records of a CSV file without header; empty lines do not count.
fn lines(path: &Path) -> io::Result<Vec<csv::StringRecord>> {
    let file = File::open(path)?.take(ERROR_FILE_LIMIT);
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(file);
    let lines: Result<Vec<_>, _> = reader.records().collect();
    lines.map_err(io::Error::other)
}

fn fields<const N: usize>(line: &csv::StringRecord) -> io::Result<[&str; N]> {
    let fields: Vec<&str> = line.iter().collect();
    let wrong = |_| io::Error::other(format!("a line has no {N} fields"));
    fields.try_into().map_err(wrong)
}

fn number(text: &str) -> io::Result<i64> {
    text.parse()
        .map_err(|_| io::Error::other(format!("no whole number: {text:?}")))
}

/// Compares the files of a run of ours with its tables.
pub(super) fn check(run: &Run<'_>, findings: &mut Findings) -> rusqlite::Result<()> {
    if run.kind == Kind::Thesis2015 || run.writer.is_some() {
        return Ok(());
    }
    let Some(tables) = Errors::tables(run.database)? else {
        findings.problem("tables", "tables peer_error and tracker_result are missing");
        return Ok(());
    };
    match Errors::files(run.path) {
        Ok(files) if files == tables => {}
        Ok(_) => findings.mendable(
            "error files",
            "the error files are older than the database",
            Repair::ErrorFiles,
        ),
        Err(error) => findings.mendable(
            "error files",
            format!("the error files cannot be used ({error})"),
            Repair::ErrorFiles,
        ),
    }
    if run.kind == Kind::Btda {
        check_manifest(run, findings);
    }
    Ok(())
}

fn check_manifest(run: &Run<'_>, findings: &mut Findings) {
    let text = std::fs::read_to_string(beside(run.path, MANIFEST)).unwrap_or_default();
    let manifest: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    let state = manifest.get("state").and_then(|it| it.as_str());
    let spooled = manifest.get("rows_in_spool").is_some();
    if state.is_none() || state != run.facts.value("state") {
        let text = "the manifest _run.json is missing, damaged or older than the database";
        findings.mendable("manifest", text, Repair::Manifest);
    } else if spooled && spool_files(run.path, &[]).is_empty() {
        let text = "the manifest names rows in spool files, but there are none";
        findings.mendable("manifest", text, Repair::Manifest);
    }
}

/// The file of the same stem that ends in `suffix`.
pub(in crate::storage) fn beside(database: &Path, suffix: &str) -> PathBuf {
    let name = database.to_string_lossy();
    let stem = name.strip_suffix(".sqlite").unwrap_or(&name);
    PathBuf::from(format!("{stem}{suffix}"))
}

/// Spool files of the run: those of its stem, those that its manifest names,
/// and `more`.
pub(in crate::storage) fn spool_files(database: &Path, more: &[PathBuf]) -> Vec<PathBuf> {
    let mut files = more.to_vec();
    let stem = beside(database, "_spool");
    let folder = database.parent().filter(|it| !it.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let prefix = stem
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let middle = name
            .strip_prefix(&prefix)
            .and_then(|it| it.strip_suffix(".jsonl"));
        if middle.is_some_and(|it| it.is_empty() || it.starts_with('-')) {
            files.push(folder.join(name));
        }
    }
    let manifest = std::fs::read_to_string(beside(database, MANIFEST)).unwrap_or_default();
    let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap_or_default();
    let named = manifest.get("spool_files").and_then(|it| it.as_array());
    let named = named.into_iter().flatten().filter_map(|it| it.as_str());
    files.extend(named.map(PathBuf::from).filter(|it| it.exists()));
    let mut seen = std::collections::BTreeSet::new();
    files.retain(|file| seen.insert(file.canonicalize().unwrap_or_else(|_| file.clone())));
    files
}

/// Whether the database is in the mode of the write-ahead log.
pub(super) fn has_write_ahead_log(database: &Path) -> bool {
    let mut header = [0; 20];
    let read = File::open(database).and_then(|mut file| file.read_exact(&mut header));
    let mut log = database.as_os_str().to_owned();
    log.push("-wal");
    read.is_ok() && header[18..20] == [2, 2] || Path::new(&log).exists()
}

/// Endings of the files of a run.
pub(in crate::storage) const PEER_ERRORS: &str = "_peer-error.txt";
pub(in crate::storage) const TRACKER_ERRORS: &str = "_tracker-error.txt";
pub(in crate::storage) const MANIFEST: &str = "_run.json";
/// Error files have some hundred lines.
const ERROR_FILE_LIMIT: u64 = 64 << 20;
