//! Figures of several rounds, and the table that they stand in.

use std::time::Duration;

/// One line of the table.
#[derive(Debug, Clone, Default)]
pub(crate) struct Row {
    /// What is measured.
    pub(crate) measure: String,
    /// How much of it at one time; grows from line to line.
    pub(crate) load: String,
    /// The figure.
    pub(crate) figure: String,
    /// What it stands against, measured in the same run.
    pub(crate) yardstick: String,
    /// Figure by yardstick.
    pub(crate) ratio: String,
    /// The goal; empty where none is set for this load.
    pub(crate) goal: String,
    /// Whether it is met.
    pub(crate) met: Option<bool>,
}

impl Row {
    pub(crate) fn new(measure: &str, load: impl Into<String>) -> Self {
        Self {
            measure: measure.to_owned(),
            load: load.into(),
            ..Self::default()
        }
    }

    pub(crate) fn figure(mut self, figure: impl Into<String>) -> Self {
        self.figure = figure.into();
        self
    }

    pub(crate) fn yardstick(mut self, yardstick: impl Into<String>) -> Self {
        self.yardstick = yardstick.into();
        self
    }

    pub(crate) fn ratio(mut self, ratio: &Spread) -> Self {
        self.ratio = format!("{:.2} ({:.2}–{:.2})", ratio.median, ratio.min, ratio.max);
        self
    }

    pub(crate) fn goal(mut self, goal: &str, met: bool) -> Self {
        goal.clone_into(&mut self.goal);
        self.met = Some(met);
        self
    }

    /// Hands the line to the process that makes the table.
    pub(crate) fn tell(&self) {
        println!("{ROW}{}", self.cells().join("\t"));
    }

    fn cells(&self) -> [String; 7] {
        let met = self.met.map_or("", |met| if met { "yes" } else { "no" });
        [
            self.measure.clone(),
            self.load.clone(),
            self.figure.clone(),
            self.yardstick.clone(),
            self.ratio.clone(),
            self.goal.clone(),
            met.to_owned(),
        ]
    }
}

/// Beginning of a line that carries a row from one process to the other.
pub(crate) const ROW: &str = "row\t";

const HEAD: [&str; 7] = [
    "Measure",
    "load",
    "figure",
    "yardstick",
    "ratio",
    "goal",
    "met",
];

/// The table in Markdown; `lines` have their cells separated by tabs.
pub(crate) fn render(lines: &[String]) -> String {
    let head = HEAD.map(str::to_owned).to_vec();
    let cells = |line: &String| line.split('\t').map(str::to_owned).collect();
    let mut rows: Vec<Vec<String>> = vec![head];
    rows.extend(lines.iter().map(cells));
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..HEAD.len()).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths);
        let cells: Vec<String> = cells
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let mut text = line(&rows[0]);
    let rules: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
    text.push_str(&line(&rules));
    text.extend(rows[1..].iter().map(line));
    text
}

/// Median and extremes of a figure.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        Self {
            median: quantile(&values, 0.5),
            min: values.first().copied().unwrap_or(f64::NAN),
            max: values.last().copied().unwrap_or(f64::NAN),
        }
    }

    /// All three by `factor`.
    pub(crate) fn scaled(&self, factor: f64) -> Self {
        Self {
            median: self.median * factor,
            min: self.min * factor,
            max: self.max * factor,
        }
    }

    /// `1.5 (1.2–1.9) µs` for values in seconds.
    pub(crate) fn seconds(&self) -> String {
        let (factor, unit) = match self.median {
            it if it < 1e-6 => (1e9, "ns"),
            it if it < 1e-3 => (1e6, "µs"),
            it if it < 1.0 => (1e3, "ms"),
            _ => (1.0, "s"),
        };
        self.with_unit(factor, unit)
    }

    /// The same for any unit.
    pub(crate) fn with_unit(&self, factor: f64, unit: &str) -> String {
        let [median, min, max] = [self.median, self.min, self.max].map(|it| short(it * factor));
        format!("{median} ({min}–{max}) {unit}")
    }
}

/// Three digits that count.
pub(crate) fn short(value: f64) -> String {
    match value.abs() {
        it if it >= 100.0 => format!("{value:.0}"),
        it if it >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// The value below which `share` of the sorted `values` lie.
pub(crate) fn quantile(values: &[f64], share: f64) -> f64 {
    let place = (values.len() as f64 * share) as usize;
    let place = place.min(values.len().saturating_sub(1));
    values.get(place).copied().unwrap_or(f64::NAN)
}

/// Seconds by `count`.
pub(crate) fn per(time: Duration, count: usize) -> f64 {
    time.as_secs_f64() / count.max(1) as f64
}

/// Figures and yardsticks of the same rounds: their spreads and that of the
/// ratios, each paired within its round.
pub(crate) fn paired(rounds: &[(f64, f64)]) -> (Spread, Spread, Spread) {
    (
        Spread::of(rounds.iter().map(|round| round.0)),
        Spread::of(rounds.iter().map(|round| round.1)),
        Spread::of(rounds.iter().map(|round| round.0 / round.1)),
    )
}
