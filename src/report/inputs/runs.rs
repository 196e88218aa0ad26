//! When each machine of a result file ran, and how soon it visited again: a
//! combined file has several runs, which need not have been at the same time.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use crate::report::tally::Run;
use crate::storage::StorageError;
use crate::storage::archive::Archive;

/// Seconds before the second visit, unless the run says otherwise.
const REVISIT_DELAY: i64 = 300;

/// The runs of a file.
#[derive(Debug)]
pub(super) struct Runs {
    /// Which torrents each machine had; nothing for a file of one.
    machines: Vec<(RangeInclusive<u32>, i64)>,
    times: BTreeMap<i64, Run>,
    delays: BTreeMap<i64, i64>,
}

/// The only machine of a file that does not tell of several.
const ONLY: i64 = 1;

impl Runs {
    /// The machines of `archive`; when they ran is still to be heard.
    pub(super) fn of(archive: &Archive) -> Result<Self, StorageError> {
        let mut machines = Vec::new();
        archive.each_machine(|vm, before, torrents| {
            let first = before.saturating_add(1);
            machines.push((first..=before.saturating_add(torrents), vm));
        })?;
        let facts = archive.facts()?;
        let vms = machines.iter().map(|(_, vm)| *vm);
        let mut delays: BTreeMap<i64, i64> = vms
            .map(|vm| {
                (
                    vm,
                    revisit_delay(facts.get(&format!("vm{vm}_configuration"))),
                )
            })
            .collect();
        if machines.is_empty() {
            delays.insert(ONLY, revisit_delay(facts.get("configuration")));
        }
        Ok(Self {
            machines,
            times: BTreeMap::new(),
            delays,
        })
    }

    fn machine(&self, torrent: u32) -> i64 {
        let of = self.machines.iter().find(|(its, _)| its.contains(&torrent));
        of.map_or(ONLY, |(_, vm)| *vm)
    }

    /// The machine of `torrent` was there at `second`.
    pub(super) fn asked(&mut self, torrent: u32, second: i64) {
        self.ticked(Some(self.machine(torrent)), second);
    }

    /// So was machine `vm`.
    pub(super) fn ticked(&mut self, vm: Option<i64>, second: i64) {
        let several = !self.machines.is_empty();
        let vm = vm.filter(|_| several).unwrap_or(ONLY);
        let run = Run::with(self.times.get(&vm).copied(), second);
        self.times.extend(run.map(|run| (vm, run)));
    }

    /// The run that had `torrent`; `None` if nothing says when it was.
    pub(super) fn run(&self, torrent: u32) -> Option<Run> {
        self.times.get(&self.machine(torrent)).copied()
    }

    /// Latest second at which a first visit for `torrent` leaves time for a
    /// second one.
    pub(super) fn due_until(&self, torrent: u32) -> i64 {
        let vm = self.machine(torrent);
        let delay = self.delays.get(&vm).copied().unwrap_or(REVISIT_DELAY);
        let run = self.times.get(&vm);
        run.map_or(i64::MAX, |run| run.end.saturating_sub(delay))
    }
}

/// The revisit delay in seconds, from a run's configuration.
fn revisit_delay(configuration: Option<&String>) -> i64 {
    let configuration =
        configuration.and_then(|text| serde_json::from_str::<serde_json::Value>(text).ok());
    let delay = configuration.as_ref().and_then(|it| {
        let value = it.get("peer_revisit_delay")?;
        value.get("value").unwrap_or(value).as_f64()
    });
    #[expect(clippy::cast_possible_truncation, reason = "at most a year")]
    delay
        .filter(|delay| (0.0..=31_536_000.0).contains(delay))
        .map_or(REVISIT_DELAY, |delay| delay.ceil() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_revisit_delay_is_in_the_configuration() {
        let delay = |text: &str| revisit_delay(Some(&text.to_owned()));
        assert_eq!(revisit_delay(None), 300);
        assert_eq!(delay(r#"{"peer_revisit_delay": 0.5}"#), 1);
        assert_eq!(delay(r#"{"peer_revisit_delay": {"value": 60}}"#), 60);
        assert_eq!(delay("no JSON"), 300);
    }

    #[test]
    fn each_machine_has_a_run_of_its_own() {
        let mut runs = Runs {
            machines: vec![(1..=2, 1), (3..=3, 2)],
            times: BTreeMap::new(),
            delays: [(1, 10), (2, 20)].into(),
        };
        assert_eq!((runs.run(1), runs.due_until(1)), (None, i64::MAX));
        runs.asked(2, 100);
        runs.ticked(Some(1), 160);
        runs.asked(3, 1_000);
        runs.ticked(Some(2), 1_100);
        let run = |start, end| Some(Run { start, end });
        assert_eq!(
            (runs.run(1), runs.run(3)),
            (run(100, 160), run(1_000, 1_100))
        );
        assert_eq!((runs.due_until(2), runs.due_until(3)), (150, 1_080));
        let mut one = Runs {
            machines: Vec::new(),
            times: BTreeMap::new(),
            delays: [(ONLY, 5)].into(),
        };
        one.asked(9, 50);
        one.ticked(Some(7), 90);
        assert_eq!((one.run(1), one.due_until(1)), (run(50, 90), 85));
    }
}
