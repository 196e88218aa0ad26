//! What the report reads: result files, and the files beside them. The only
//! part of it that opens files for reading.

mod errors;
mod files;
mod runs;
mod sets;
mod waits;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

pub use errors::{peer_errors, tracker_results};
use files::{beside, beside_whole, contains, name_of, opened, unreadable};
use runs::Runs;
pub use sets::sets;
pub use waits::waits;

use super::tally::{
    Judging, StudiedTorrent, Tally, Thresholds, add_peer_errors, add_tracker_results,
    rounded_seconds, set_by_size,
};
use super::{ReportError, ReportOptions};
use crate::storage::archive::{Archive, NameColumn, Sorter, TorrentRow};

/// Host names shown, as in 2015.
pub(super) const HOSTS_SHOWN: usize = 50;

/// Everything that was read.
#[derive(Debug)]
pub struct Study {
    /// All counts.
    pub tally: Tally,
    /// Thresholds of completeness.
    pub thresholds: Thresholds,
    /// Speeds in kB/s by country and direction.
    pub speeds: Sorter,
    /// Names (without folders) of the files that were read.
    pub files: Vec<String>,
    /// What a reader of the report must know about them.
    pub notes: Vec<String>,
    /// Whether a file is of 2015, which has none of our tables.
    pub has_old: bool,
}

/// A result file that is about to be read.
struct Input {
    path: PathBuf,
    archive: Archive,
    torrents: Vec<TorrentRow>,
    /// Added to the ids of its torrents.
    offset: u32,
}

impl Study {
    /// Reads all that the options name.
    ///
    /// # Errors
    /// When a file cannot be read, makes no sense, or the thresholds are
    /// above that of a run.
    pub fn read(options: &ReportOptions) -> Result<Self, ReportError> {
        let inputs = open(options)?;
        let all: Vec<TorrentRow> = inputs.iter().flat_map(|it| it.torrents.clone()).collect();
        if all.is_empty() {
            return Err(ReportError::NoTorrents);
        }
        let thresholds = Thresholds::choose(&options.thresholds, &all)?;
        let mut study = Self {
            tally: Tally::default(),
            thresholds,
            speeds: Sorter::new()?,
            files: Vec::new(),
            notes: Vec::new(),
            has_old: inputs.iter().any(|it| !it.archive.has("visit")),
        };
        let mut directions = Some((0, 0));
        for (number, input) in inputs.iter().enumerate() {
            let its = input.archive.directions()?;
            directions = directions.zip(its).map(|(all, its): ((u64, u64), _)| {
                (all.0.saturating_add(its.0), all.1.saturating_add(its.1))
            });
            study.add_torrents(number, input);
            study.add_rows(number, input)?;
            study.add_files_beside(input, options)?;
        }
        study.tally.directions = directions;
        study.note_repeated_torrents();
        study.add_named_files(options)?;
        study.add_sets(&inputs, options)?;
        Ok(study)
    }

    fn add_torrents(&mut self, file: usize, input: &Input) {
        self.files.push(name_of(&input.path));
        for row in &input.torrents {
            let mut row = row.clone();
            row.id = row.id.saturating_add(input.offset);
            let set = set_by_size(row.gigabyte).to_owned();
            let torrent = StudiedTorrent { row, file, set };
            self.tally.torrents.insert(torrent.row.id, torrent);
        }
    }

    fn note_repeated_torrents(&mut self) {
        let mut hashes = BTreeMap::new();
        for torrent in self.tally.torrents.values() {
            if !torrent.row.info_hash.is_empty() {
                let files: &mut Vec<usize> = hashes.entry(&torrent.row.info_hash).or_default();
                files.push(torrent.file);
            }
        }
        let repeated = hashes.values().filter(|files| files.len() > 1).count();
        if repeated > 0 {
            self.notes.push(format!(
                "{repeated} torrents are in more than one file: they are counted as different \
                 ones, so a peer that both runs saw counts twice"
            ));
        }
    }

    fn add_rows(&mut self, file: usize, input: &Input) -> Result<(), ReportError> {
        let Input {
            archive, offset, ..
        } = input;
        let id = |torrent: u32| torrent.saturating_add(*offset);
        let tally = &mut self.tally;
        let known = tally.torrents.clone();
        let is_known = |torrent: u32| torrent != 0 && known.contains_key(&id(torrent));
        let mut runs = Runs::of(archive)?;
        let mut strange = 0_u64;
        archive.each_request(|row| {
            runs.asked(row.torrent, row.timestamp);
            if is_known(row.torrent) {
                tally.requests.push(id(row.torrent), row);
            } else {
                strange += 1;
            }
        })?;
        archive.each_monitoring(|row| {
            runs.ticked(row.vm, row.timestamp);
            tally.monitoring.push(file, row);
        })?;
        archive.each_scrape(|row| {
            if is_known(row.torrent) {
                tally.requests.scrape(id(row.torrent), row);
            }
        })?;
        strange += self.add_peers(input, &known, &runs)?;
        let evidence = &mut self.tally.evidence;
        archive.each_evidence(|torrent, class, addresses| {
            if is_known(torrent) {
                evidence.class(id(torrent), &class, addresses);
            }
        })?;
        archive.each_doubt(|client, reason| evidence.doubt(client, &reason))?;
        let families = &mut self.tally.families;
        archive.each_family_of_peers(|torrent, family, of| {
            families.peers.insert((id(torrent), family), of);
        })?;
        archive.each_family_of_answers(|torrent, family, of| {
            families.answers.insert((id(torrent), family), of);
        })?;
        if strange > 0 {
            let name = name_of(&input.path);
            self.notes.push(format!(
                "{name}: {strange} rows of torrents that are not in the file were left out"
            ));
        }
        Ok(())
    }

    /// Peers and crossings; how many rows belong to no torrent.
    fn add_peers(
        &mut self,
        input: &Input,
        known: &BTreeMap<u32, StudiedTorrent>,
        runs: &Runs,
    ) -> Result<u64, ReportError> {
        let archive = &input.archive;
        let tally = &mut self.tally;
        let torrent_of = |id: u32| {
            let torrent = known.get(&id.saturating_add(input.offset));
            torrent.filter(|_| id != 0)
        };
        let has_crossings =
            archive.has("crossing") && self.thresholds.main() >= self.thresholds.run;
        // The combine step of 2015 leaves our tables empty.
        let mut knows_crossings = false;
        archive.each_crossing(|row| {
            knows_crossings = true;
            if let Some(torrent) = torrent_of(row.torrent) {
                let run = runs.run(row.torrent);
                let download = tally.peers.crossed(&torrent.row, row, run);
                if has_crossings && download {
                    tally.peers.crossing(torrent.row.id, row);
                }
            }
        })?;
        let mut strange = 0_u64;
        let mut sorting = Ok(());
        archive.each_peer(|row| {
            let Some(torrent) = torrent_of(row.torrent) else {
                strange += 1;
                return;
            };
            let judging = Judging {
                torrent: &torrent.row,
                thresholds: &self.thresholds.values,
                due_until: runs.due_until(row.torrent),
                has_crossings,
                run: runs.run(row.torrent),
                knows_crossings,
            };
            let speed = tally.peers.push(row, &judging);
            if let (Some((key, speed)), Ok(())) = (speed, &sorting) {
                sorting = self.speeds.push(key, speed);
            }
        })?;
        sorting?;
        Ok(strange)
    }

    /// Error files, timeout file and host names beside a database; our tables
    /// where a file is absent. Files that the options name go first.
    fn add_files_beside(
        &mut self,
        input: &Input,
        options: &ReportOptions,
    ) -> Result<(), ReportError> {
        let beside = |end: &str| Some(beside(&input.path, end)).filter(|path| path.is_file());
        let tally = &mut self.tally;
        if options.peer_errors.is_empty() {
            if let Some(path) = beside("_peer-error.txt") {
                add_peer_errors(&mut tally.peer_errors, peer_errors(&path)?);
                self.files.push(name_of(&path));
            } else {
                input.archive.each_peer_error(|event, reason, count| {
                    let one = [((event, reason), count)].into();
                    add_peer_errors(&mut tally.peer_errors, one);
                })?;
            }
        }
        if options.tracker_errors.is_empty() {
            if let Some(path) = beside("_tracker-error.txt") {
                let from = tracker_results(&path)?;
                add_tracker_results(&mut tally.tracker_results, from, input.offset);
                self.files.push(name_of(&path));
            } else {
                let results = &mut tally.tracker_results;
                input
                    .archive
                    .each_tracker_result(|torrent, url, result, reason, count| {
                        let one = [((torrent, url, result, reason), count)].into();
                        add_tracker_results(results, one, input.offset);
                    })?;
            }
        }
        if options.timeouts.is_none() {
            if let Some(path) = beside("_timeout.txt") {
                tally.waits = waits(&path)?;
                self.files.push(name_of(&path));
            } else {
                let waits = &mut tally.waits;
                input
                    .archive
                    .each_wait(|millis| waits.push(rounded_seconds(millis)))?;
            }
        }
        self.add_hosts(input)?;
        self.note_lost(&input.path)
    }

    fn add_hosts(&mut self, input: &Input) -> Result<(), ReportError> {
        if input.archive.has_names()? {
            return self.add_names(&input.archive);
        }
        let other = beside(&input.path, "_hosts.sqlite");
        if other.is_file() {
            let archive = Archive::open(&other)?;
            if archive.has_names()? {
                self.files.push(name_of(&other));
                self.add_names(&archive)?;
            }
        }
        Ok(())
    }

    fn add_names(&mut self, archive: &Archive) -> Result<(), ReportError> {
        let hosts = &mut self.tally.hosts;
        let names = |column| archive.names(column, HOSTS_SHOWN);
        hosts.hosts.add(names(NameColumn::Host)?, HOSTS_SHOWN);
        hosts.domains.add(names(NameColumn::Domain)?, HOSTS_SHOWN);
        for (outcome, count) in archive.name_outcomes()? {
            *hosts.outcomes.entry(outcome).or_default() += count;
        }
        Ok(())
    }

    /// A log of 2015 names the rows that its database lost.
    fn note_lost(&mut self, path: &Path) -> Result<(), ReportError> {
        let log = beside(path, ".log");
        if !log.is_file() {
            return Ok(());
        }
        let mut lost = 0_u64;
        let file = opened(&log)?;
        let lines = BufReader::new(file).split(b'\n');
        for line in lines {
            let line = line.map_err(|source| unreadable(&log, &source.to_string()))?;
            lost += u64::from(contains(&line, b"[SQL: 'INSERT"));
        }
        if lost > 0 {
            self.notes.push(format!(
                "{}: names {lost} rows that the database did not take when it was measured; if they \
                 were not put back, counts of requests and of monitoring are too low (btda doctor \
                 tells, and with --repair puts them back)",
                name_of(&log)
            ));
        }
        Ok(())
    }

    fn add_named_files(&mut self, options: &ReportOptions) -> Result<(), ReportError> {
        for path in &options.peer_errors {
            add_peer_errors(&mut self.tally.peer_errors, peer_errors(path)?);
            self.files.push(name_of(path));
        }
        for path in &options.tracker_errors {
            let from = tracker_results(path)?;
            add_tracker_results(&mut self.tally.tracker_results, from, 0);
            self.files.push(name_of(path));
        }
        if let Some(path) = &options.timeouts {
            self.tally.waits = waits(path)?;
            self.files.push(name_of(path));
        }
        Ok(())
    }

    fn add_sets(&mut self, inputs: &[Input], options: &ReportOptions) -> Result<(), ReportError> {
        let named = options.sets.iter().map(|path| (path.clone(), 0));
        let found = inputs
            .iter()
            .map(|input| (beside_whole(&input.path, ".csv"), input.offset))
            .filter(|(path, _)| options.sets.is_none() && path.is_file());
        for (path, offset) in named.chain(found) {
            for (torrent, set) in sets(&path)? {
                let torrent = torrent.saturating_add(offset);
                if let Some(torrent) = self.tally.torrents.get_mut(&torrent) {
                    torrent.set = set;
                }
            }
            self.files.push(name_of(&path));
        }
        Ok(())
    }
}

/// Opens all result files and numbers their torrents one after the other.
fn open(options: &ReportOptions) -> Result<Vec<Input>, ReportError> {
    let mut inputs = Vec::new();
    let mut offset = options.first_torrent.saturating_sub(1);
    for path in &options.databases {
        let archive = Archive::open(path)?;
        let torrents = archive.torrents()?;
        let most = torrents.iter().map(|it| it.id).max().unwrap_or(0);
        inputs.push(Input {
            path: path.clone(),
            archive,
            torrents,
            offset,
        });
        offset = offset.saturating_add(most);
    }
    Ok(inputs)
}

#[cfg(test)]
mod tests;
