//! The items, in the order of the report: those of the thesis, then the
//! corrections and additions. Each is a function of a [`Study`].

mod additions;
mod addresses;
mod confirmed;
mod estimates;
mod evidence;
mod families;
mod machines;
mod missed;
mod outcomes;
mod places;
mod visits;

pub(super) use machines::SECONDS_SHOWN;
pub(super) use visits::SHOWN as VISITS_SHOWN;

use super::ReportError;
use super::inputs::Study;
use super::item::{Cell, Item};

/// All items of the study.
///
/// # Errors
/// When the sorted speeds cannot be read back.
pub fn all(study: &Study) -> Result<Vec<Item>, ReportError> {
    let speeds = places::Speeds::of(study)?;
    Ok(vec![
        addresses::addresses(study),
        confirmed::confirmed(study),
        confirmed::against_reported(study),
        confirmed::per_hour(study),
        outcomes::outcomes(study),
        visits::visits(study),
        speeds.item(false),
        places::countries(study),
        places::hosts(study),
        machines::trackers(study),
        machines::workload(study),
        machines::timeout(study),
        machines::torrents(study),
        outcomes::labels(study),
        visits::second_visits(study),
        speeds.item(true),
        additions::by_crossing(study),
        additions::resets(study),
        additions::overlap(study),
        additions::clients(study),
        estimates::swarm_size(study),
        missed::missed(study),
        evidence::evidence(study),
        families::families(study),
        additions::have_fault(study),
    ])
}

/// A whole number of an iterator of counts.
fn sum(counts: impl Iterator<Item = u64>) -> u64 {
    counts.fold(0, u64::saturating_add)
}

/// `part` in percent of `whole`.
fn percent(part: u64, whole: u64) -> Option<f64> {
    super::statistics::proportion::percent(part as f64, whole as f64)
}

/// A share of 0 to 1 as a cell in percent.
fn in_percent(share: Option<f64>) -> Cell {
    share.map(|it| it * 100.0).into()
}
