//! One item of the report: what it is, what was counted, and what it says.

use std::fmt::Display;

use serde::Serialize;

/// A part of the report.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Item {
    /// Short name: letters, digits and underscores; names of files begin with
    /// it.
    pub id: &'static str,
    /// Heading.
    pub title: &'static str,
    /// Where it comes from.
    pub kind: Kind,
    /// What is counted.
    pub definition: &'static str,
    /// The rule, or the query in words.
    pub rule: &'static str,
    /// Observations.
    pub sample: u64,
    /// What is observed.
    pub sample_of: &'static str,
    /// In which direction it errs, and why.
    pub bias: &'static str,
    /// What it says, in a sentence; or why there is nothing to say.
    pub finding: String,
    /// The numbers.
    pub tables: Vec<Table>,
    /// Names of its figures in the output folder.
    pub figures: Vec<String>,
}

/// Where an item comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A table or figure of the thesis of 2015, by its rules.
    Thesis,
    /// One of these, put right.
    Correction,
    /// New.
    Addition,
}

/// A table of an item.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Table {
    /// Short name, unique within the item; part of the name of the CSV file.
    pub id: &'static str,
    /// Heading.
    pub title: String,
    /// Columns.
    pub columns: Vec<Column>,
    /// Rows; each has as many cells as there are columns.
    pub rows: Vec<Vec<Cell>>,
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Column {
    /// Name, also in CSV.
    pub name: String,
    /// Type of its cells.
    #[serde(rename = "type")]
    pub kind: ColumnKind,
    /// Unit, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<&'static str>,
}

/// Type of the cells of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ColumnKind {
    /// Words.
    Text,
    /// Whole numbers.
    Integer,
    /// Decimal numbers.
    Real,
}

/// A cell; unknown is `null` in JSON and empty in CSV.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Cell {
    /// Words.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// A finite decimal number.
    Real(f64),
    /// Unknown.
    Unknown,
}

impl From<u64> for Cell {
    fn from(number: u64) -> Self {
        Self::Integer(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<u32> for Cell {
    fn from(number: u32) -> Self {
        Self::Integer(number.into())
    }
}

impl From<i64> for Cell {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<f64> for Cell {
    fn from(number: f64) -> Self {
        if number.is_finite() {
            Self::Real(number)
        } else {
            Self::Unknown
        }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl<T: Into<Self>> From<Option<T>> for Cell {
    fn from(cell: Option<T>) -> Self {
        cell.map_or(Self::Unknown, Into::into)
    }
}

impl Table {
    /// An empty table. `columns` are `name:type` or `name:type:unit`, types
    /// `t` (text), `i` (integer) and `r` (real).
    pub fn new(id: &'static str, title: impl Into<String>, columns: &[&'static str]) -> Self {
        let columns = columns.iter().map(|column| {
            let mut parts = column.splitn(3, ':');
            let name = parts.next().unwrap_or_default().to_owned();
            let kind = match parts.next() {
                Some("i") => ColumnKind::Integer,
                Some("r") => ColumnKind::Real,
                _ => ColumnKind::Text,
            };
            let unit = parts.next();
            Column { name, kind, unit }
        });
        Self {
            id,
            title: title.into(),
            columns: columns.collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        let cells: Vec<Cell> = cells.into_iter().collect();
        debug_assert_eq!(cells.len(), self.columns.len(), "{}", self.id);
        self.rows.push(cells);
    }

    /// The cell of that row (by the text of its first cell) and column.
    pub fn cell(&self, row: &str, column: &str) -> Option<&Cell> {
        let place = self.columns.iter().position(|it| it.name == column)?;
        let is_row = |cells: &&Vec<Cell>| match cells.first() {
            Some(Cell::Text(text)) => text == row,
            Some(Cell::Integer(number)) => number.to_string() == row,
            _ => false,
        };
        self.rows.iter().find(is_row)?.get(place)
    }
}

impl Item {
    /// The table with that short name.
    pub fn table(&self, id: &str) -> Option<&Table> {
        self.tables.iter().find(|table| table.id == id)
    }
}

/// Cells of a row.
macro_rules! cells {
    ($($cell:expr),* $(,)?) => { [$($crate::report::item::Cell::from($cell)),*] };
}
pub(crate) use cells;

/// A number with commas between groups of three digits, for sentences.
pub fn grouped(number: impl Display) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Percent for sentences: one decimal, two below 1 %, never 0 for what is not;
/// `-` if unknown.
pub fn shown_percent(percent: Option<f64>) -> String {
    match percent {
        Some(it) if it > 0.0 && it < 0.005 => "< 0.01 %".to_owned(),
        Some(it) if it.abs() < 1.0 => format!("{it:.2} %"),
        Some(it) => format!("{it:.1} %"),
        None => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_that_are_not_0_are_not_shown_as_0() {
        let shown = [0.0, 0.0001, 0.005, 0.994, 12.34].map(|it| shown_percent(Some(it)));
        assert_eq!(shown, ["0.00 %", "< 0.01 %", "0.01 %", "0.99 %", "12.3 %"]);
        assert_eq!(shown_percent(None), "-");
    }

    #[test]
    fn cells_are_plain_json() {
        let mut table = Table::new("t", "T", &["name:t", "n:i", "share:r:%"]);
        table.row(cells!["a", 3_u64, 0.5]);
        table.row(cells!["b", None::<u64>, f64::INFINITY]);
        let json = serde_json::to_value(&table).unwrap();
        assert_eq!(
            json["rows"],
            serde_json::json!([["a", 3, 0.5], ["b", null, null]])
        );
        let column = serde_json::json!({"name": "share", "type": "real", "unit": "%"});
        assert_eq!(json["columns"][2], column);
        assert_eq!(table.cell("a", "n"), Some(&Cell::Integer(3)));
        assert_eq!(table.cell("c", "n"), None);
    }

    #[test]
    fn numbers_in_sentences() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(15_699_135), "15,699,135");
        assert_eq!(shown_percent(Some(12.34)), "12.3 %");
        assert_eq!(shown_percent(Some(0.456)), "0.46 %");
        assert_eq!(shown_percent(None), "-");
    }
}
