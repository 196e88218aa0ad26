//! Workload of the machines, and waits of the visits.

use std::collections::BTreeMap;

use crate::storage::archive::MonitoringRow;

/// Table `statistic` of all machines.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Monitoring {
    /// Machine, counted from 1, with its rows in order.
    pub machines: BTreeMap<i64, Vec<MonitoringRow>>,
}

impl Monitoring {
    /// A row of the file of that number (counted from 0), unless it names its
    /// machine itself.
    pub fn push(&mut self, file: usize, row: &MonitoringRow) {
        let machine = row
            .vm
            .unwrap_or_else(|| i64::try_from(file).map_or(i64::MAX, |it| it.saturating_add(1)));
        self.machines.entry(machine).or_default().push(*row);
    }

    /// Greatest, mean and number of the known values of a column.
    pub fn summary(&self, machine: i64, column: usize) -> Option<(f64, f64, usize)> {
        let rows = self.machines.get(&machine)?;
        let known = || {
            rows.iter()
                .filter_map(|row| row.values.get(column).copied().flatten())
        };
        let count = known().count();
        let greatest = known().reduce(f64::max)?;
        Some((greatest, known().sum::<f64>() / count as f64, count))
    }
}

/// Longest waits for one message, one for each visit that had a message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Waits {
    /// Visits by whole seconds, halves to the even second.
    pub seconds: BTreeMap<u64, u64>,
    /// Last line of a timeout file: waits that are at most the timeout (before
    /// rounding), of how many.
    pub within: Option<(u64, u64)>,
    /// The timeout of that line, as it is written there.
    pub timeout: Option<String>,
}

impl Waits {
    /// A wait in whole seconds.
    pub fn push(&mut self, seconds: u64) {
        *self.seconds.entry(seconds).or_default() += 1;
    }

    /// Waits in the list.
    pub fn total(&self) -> u64 {
        self.seconds.values().sum()
    }

    /// Waits that rounded to at most so many seconds.
    pub fn at_most(&self, seconds: u64) -> u64 {
        self.seconds.range(..=seconds).map(|(_, count)| count).sum()
    }
}

/// Milliseconds as whole seconds, halves to the even one; a negative wait, which
/// no clock gives, is 0.
pub fn rounded_seconds(millis: i64) -> u64 {
    let millis = u64::try_from(millis).unwrap_or(0);
    let (seconds, rest) = (millis / 1000, millis % 1000);
    let up = rest > 500 || (rest == 500 && seconds % 2 == 1);
    seconds + u64::from(up)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_go_to_the_even_second() {
        let millis = [-5, 0, 500, 501, 1500, 2500];
        assert_eq!(millis.map(rounded_seconds), [0, 0, 0, 1, 2, 2]);
    }

    #[test]
    fn a_machine_names_itself_or_is_numbered() {
        let row = |vm, value| MonitoringRow {
            timestamp: 0,
            vm,
            values: [value; 9],
        };
        let mut monitoring = Monitoring::default();
        monitoring.push(1, &row(None, Some(4.0)));
        monitoring.push(1, &row(None, None));
        monitoring.push(1, &row(Some(7), Some(1.0)));
        assert_eq!(monitoring.summary(2, 0), Some((4.0, 4.0, 1)));
        assert_eq!(monitoring.summary(7, 3), Some((1.0, 1.0, 1)));
        assert_eq!(monitoring.summary(1, 0), None);
    }
}
