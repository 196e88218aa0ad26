//! The end of a run, stage by stage, each with its name and deadline.
//!
//! 1. Everyone is told (stop token), the scheduler is closed, and all sockets
//!    are shut, so that nobody waits out a timeout.
//! 2. Every tracker that knows us is told `stopped`, while the others wind
//!    down.
//! 3. Listener, contacts and callers end; what they heard is recorded.
//! 4. The last statistics row marks the end of the records.
//! 5. The writer stores everything and closes the files.
//!
//! A thread that does not end by its deadline is named and left behind: its
//! results were not measured within the run.

use std::time::Duration;

use crate::deadline::Deadline;
use crate::exit::Exit;
use crate::model::record::Record;
use crate::tracker;

use super::Cause;
use super::crew::{Crew, Stage};
use super::neighbours;
use super::prepare::Run;
use super::status::Status;

/// For telling the trackers.
const FAREWELL: Duration = Duration::from_millis(1_500);

/// For threads whose sockets are shut.
const THREADS: Duration = Duration::from_secs(5);

/// For requests to trackers that are under way: their results come too late
/// for the run, so they are not waited for long.
const SOURCES: Duration = Duration::from_millis(200);

/// For the threads of magnet links, whose waits all end with the run.
const MAGNETS: Duration = Duration::from_secs(1);

/// For the DHT thread to take leave of its node, and for our own node, which
/// looks for the end ten times a second.
const DHT: Duration = Duration::from_secs(1);

/// For the writer; it may have much to store, and the data are why we are
/// here. A second signal ends it sooner.
const WRITER: Duration = Duration::from_secs(120);

/// Stops everything and gives the exit code.
pub(super) fn stop(run: &Run, crew: &mut Crew, status: &Status, cause: Cause) -> Exit {
    let engine = &run.engine;
    run.trigger.stop();
    engine.scheduler.close();
    engine.sockets.shut_all();
    for socket in engine.utp.iter().flat_map(|utp| &utp.sockets) {
        socket.shut();
        let counts = socket.counts();
        let family = if socket.local_addr().is_ipv6() { 6 } else { 4 };
        log::info!(
            "uTP datagrams over IPv{family}: received={} malformed={} unknown={} turned_away={} callers={}",
            counts.received,
            counts.malformed,
            counts.unknown,
            counts.turned_away,
            counts.callers
        );
    }
    let (mut acknowledged, mut owed) = (0, 0);
    let deadline = Deadline::after(engine.clock.now(), FAREWELL);
    for (client, torrents) in run.trackers.owing() {
        let left = deadline.left(engine.clock.now()).unwrap_or_default();
        let told = tracker::farewell(client, &torrents, left);
        acknowledged += told.acknowledged;
        owed += told.owed;
    }
    status.say(&format!(
        "told trackers: {acknowledged} of {owed} acknowledged"
    ));
    let mut late = Vec::new();
    for (stage, time) in [
        (Stage::Listener, THREADS),
        (Stage::Contacts, THREADS),
        (Stage::Statistics, THREADS),
    ] {
        late.extend(wait(run, crew, status, stage, time));
    }
    if run.page.is_some() {
        late.extend(wait(run, crew, status, Stage::Page, THREADS));
    }
    late.extend(callers_left(run, status));
    wait(run, crew, status, Stage::Sources, SOURCES);
    if run.magnets.is_some() {
        late.extend(wait(run, crew, status, Stage::Magnets, MAGNETS));
    }
    if let Some(dht) = &run.dht {
        late.extend(wait(run, crew, status, Stage::Dht, DHT));
        dht.end();
    }
    let deadline = Deadline::after(engine.clock.now(), WRITER);
    let taken = last_records(run, crew, cause)
        .into_iter()
        .all(|record| engine.record_by(record, deadline));
    if !taken {
        log::error!(target: "critical", "the writer takes no more records: the end of the run is not stored");
    }
    let left = deadline.left(engine.clock.now()).unwrap_or_default();
    late.extend(wait(run, crew, status, Stage::Writer, left));
    conclude(run, crew, status, cause, &late)
}

/// What is only known at the end; the statistics row ends the writer.
fn last_records(run: &Run, crew: &Crew, cause: Cause) -> Vec<Record> {
    let fact = |key, value| Record::Manifest { key, value };
    let count = |key, value: u64| fact(key, value.to_string());
    let (held, barred) = (
        run.engine.scheduler.held_back(),
        run.engine.scheduler.barred(),
    );
    let early = run.engine.scheduler.revisits().early();
    let stays = run.engine.stays.counts();
    let magnets = run.magnets.as_ref().map_or(0, |magnets| magnets.pending());
    let never = run.engine.scheduler.never_contacted();
    let mut records = vec![
        fact("ended", cause.as_str().to_owned()),
        fact("addresses_never_contacted", never.to_string()),
        count("contacts_held_back", held.in_all),
        count("contacts_held_back_by_network", held.by_network),
        count("contacts_held_back_by_torrent", held.by_torrent),
        count("revisits_early", early.planned),
        count("revisits_early_put_off", early.put_off),
        count("revisits_looks", early.looks),
        count("revisits_looks_put_off", early.looks_put_off),
        count("stays", stays.begun),
        count("stays_without_place", stays.without_place),
        count("offers_reserved", barred.reserved),
        count("offers_opted_out", barred.opted_out),
        count("offers_ipv6", barred.ipv6),
        count("offers_beyond_limit", barred.beyond),
        fact("magnets_pending", magnets.to_string()),
        count(
            "host_names_not_asked",
            run.hosts.as_ref().map_or(0, |hosts| hosts.dropped()),
        ),
        fact("threads_ended_early", crew.early_ends().to_string()),
        fact("log_lines_lost", run.log_counts.lost().to_string()),
    ];
    records.extend(run.neighbours.iter().flat_map(|it| neighbours::facts(it)));
    records.extend(run.found.iter().flat_map(|it| it.facts()));
    records.push(run.statistics.next(true));
    records
}

fn wait(run: &Run, crew: &mut Crew, status: &Status, stage: Stage, time: Duration) -> Vec<String> {
    let clock = &run.engine.clock;
    let start = clock.now();
    let late = crew.wait_for(stage, Deadline::after(start, time));
    let took = clock.now().saturating_duration_since(start).as_secs_f64();
    if late.is_empty() {
        status.say(&format!("stopped: {stage} ({took:.1} s)"));
    } else if stage != Stage::Sources {
        log::error!(
            "stage={stage} did not end in {} s: threads={}",
            time.as_secs(),
            some_of(&late)
        );
        status.say(&format!("left behind: {stage}: {}", some_of(&late)));
    }
    late
}

/// A few names and how many more there are: a thousand in one line help
/// nobody.
fn some_of(names: &[String]) -> String {
    const SHOWN: usize = 8;
    let shown = names.get(..SHOWN.min(names.len())).unwrap_or_default();
    match names.len().saturating_sub(SHOWN) {
        0 => shown.join(" "),
        more => format!("{} and {more} more", shown.join(" ")),
    }
}

/// Callers are evaluated by threads of the listener's own pool.
fn callers_left(run: &Run, status: &Status) -> Vec<String> {
    let Some(seats) = &run.seats else {
        return Vec::new();
    };
    match seats.wait_until_empty(Deadline::after(run.engine.clock.now(), THREADS)) {
        0 => {
            status.say("stopped: callers");
            Vec::new()
        }
        left => {
            log::error!("callers={left} did not end in {} s", THREADS.as_secs());
            vec![format!("{left} callers")]
        }
    }
}

fn conclude(run: &Run, crew: &Crew, status: &Status, cause: Cause, late: &[String]) -> Exit {
    let lost = run.progress.lost();
    let summary = run.summary.lock().take();
    status.say(&format!(
        "confirmed downloads: {} of {} peers; {} rows in {}",
        run.progress.confirmed(),
        run.progress.peers(),
        run.progress.rows(),
        summary
            .as_ref()
            .map_or(&run.database, |summary| &summary.database)
            .display(),
    ));
    if run.progress.confirmed() == 0 {
        status.say("no download was confirmed: the 2015 R scripts stop on such a run (nothing is wrong with the file)");
    }
    if lost > 0 {
        status.say(&format!(
            "{lost} rows were LOST; see the lines with CRITICAL in the log"
        ));
    }
    for file in summary.iter().flat_map(|summary| &summary.spool_files) {
        status.say(&format!(
            "the database did not take every row; the rest is in {}",
            file.display()
        ));
    }
    let stored = summary.is_some_and(|summary| summary.in_spool == 0);
    let whole = stored && lost == 0 && late.is_empty();
    if whole && crew.early_ends() == 0 && cause != Cause::ThreadEnded {
        Exit::Success
    } else {
        Exit::DataLost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_names_make_a_short_line() {
        let names = |count: usize| (0..count).map(|n| n.to_string()).collect::<Vec<_>>();
        assert_eq!(some_of(&names(0)), "");
        assert_eq!(some_of(&names(8)), "0 1 2 3 4 5 6 7");
        assert_eq!(some_of(&names(1_000)), "0 1 2 3 4 5 6 7 and 992 more");
    }
}
