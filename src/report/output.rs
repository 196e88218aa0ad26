//! The report as files: one page, one JSON, a CSV per table, an SVG per figure
//! (with the feature `pdf` also a PDF); and as a short text.

mod html;
#[cfg(feature = "pdf")]
mod pdf;

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::inputs::Study;
use super::item::{Cell, Item, Kind, Table, shown_percent};
use super::tally::Tally;
use super::{ReportError, figures};

/// Name and version of the form of the JSON.
pub const SCHEMA: &str = "btda-report 1";

/// A finished report: what `report.json` holds.
#[derive(Debug, Serialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// Program and version.
    pub program: String,
    /// Names of the files that were read.
    pub files: Vec<String>,
    /// Thresholds of completeness; the first is the one that all items use.
    pub thresholds: Vec<f64>,
    /// What to know about the files.
    pub notes: Vec<String>,
    /// The items, in their order.
    pub items: Vec<Item>,
    #[serde(skip)]
    tally: Tally,
    /// Name and SVG of each figure.
    #[serde(skip)]
    figures: Vec<(String, String)>,
}

impl Report {
    pub(super) fn new(study: Study, mut items: Vec<Item>) -> Result<Self, ReportError> {
        let mut drawn = Vec::new();
        for item in &mut items {
            let figures = figures::of(item).map_err(|error| ReportError::Figure {
                name: item.id.to_owned(),
                reason: error.to_string(),
            })?;
            item.figures = figures.iter().map(|(name, _)| name.clone()).collect();
            drawn.extend(figures);
        }
        Ok(Self {
            schema: SCHEMA,
            program: format!("btda {}", env!("CARGO_PKG_VERSION")),
            files: study.files,
            thresholds: study.thresholds.values,
            notes: study.notes,
            items,
            tally: study.tally,
            figures: drawn,
        })
    }

    /// The item with that short name.
    pub fn item(&self, id: &str) -> Option<&Item> {
        self.items.iter().find(|item| item.id == id)
    }

    /// The SVG of that name.
    pub fn figure(&self, name: &str) -> Option<&str> {
        let mut figures = self.figures.iter();
        figures
            .find(|(it, _)| it == name)
            .map(|(_, svg)| svg.as_str())
    }

    /// The counts that it is made of.
    pub const fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Everything as one JSON.
    ///
    /// # Errors
    /// When standard output is closed.
    pub fn print_json(&self) -> Result<(), ReportError> {
        let text = self.json(Path::new("standard output"))?;
        printed(&text)
    }

    fn json(&self, path: &Path) -> Result<String, ReportError> {
        let json = serde_json::to_string_pretty(self);
        json.map(|text| text + "\n")
            .map_err(|error| not_written(path, error.into()))
    }

    /// Writes all files into a folder, which is made if it is absent.
    ///
    /// # Errors
    /// When one of them cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), ReportError> {
        fs::create_dir_all(folder).map_err(|source| not_written(folder, source))?;
        let path = folder.join("report.json");
        written(&path, self.json(&path)?.as_bytes())?;
        for item in &self.items {
            for table in &item.tables {
                let path = folder.join(csv_name(item, table));
                let bytes = csv(table).map_err(|error| not_written(&path, error))?;
                written(&path, &bytes)?;
            }
        }
        for (name, svg) in &self.figures {
            written(&folder.join(name), svg.as_bytes())?;
        }
        #[cfg(feature = "pdf")]
        self.write_pdfs(folder)?;
        let path = folder.join("report.html");
        written(&path, html::page(self).as_bytes())
    }

    #[cfg(feature = "pdf")]
    fn write_pdfs(&self, folder: &Path) -> Result<(), ReportError> {
        if self.figures.is_empty() {
            return Ok(());
        }
        let press = pdf::Press::new()?;
        for (name, svg) in &self.figures {
            let path = folder.join(name).with_extension("pdf");
            written(&path, &press.print(name, svg)?)?;
        }
        Ok(())
    }

    /// The short text: what each item says.
    ///
    /// # Errors
    /// When standard output is closed.
    pub fn print_summary(&self, folder: &Path) -> Result<(), ReportError> {
        let folder = crate::outside::one_line(&folder.display().to_string());
        printed(&format!("{}\nreport in {folder}\n", self.summary()))
    }

    /// The short text without the place of the files.
    pub fn summary(&self) -> String {
        // Writing to a String cannot fail, here and below.
        let mut text = format!("btda report of {}\n", self.files.join(", "));
        for note in &self.notes {
            let _ = writeln!(text, "note: {note}");
        }
        for (kind, title) in [
            (Kind::Thesis, "As in the thesis of 2015"),
            (Kind::Correction, "Corrections"),
            (Kind::Addition, "Additions"),
        ] {
            let _ = write!(text, "\n{title}\n");
            for item in self.items.iter().filter(|item| item.kind == kind) {
                let _ = writeln!(text, "  {}: {}", item.title, item.finding);
            }
        }
        text + "\n" + &self.table_of_confirmed()
    }

    /// The table of the thesis: confirmed, reported and unique by set.
    fn table_of_confirmed(&self) -> String {
        let item = self.item("confirmed_reported_unique");
        let Some(table) = item.and_then(|item| item.table("sets")) else {
            return String::new();
        };
        let mut text = format!(
            "{:<10}{:>10}{:>10}{:>10}{:>9}{:>9}{:>9}\n",
            "set", "confirmed", "reported", "unique", "C/R", "C/U", "R/U"
        );
        for row in &table.rows {
            if let [set, confirmed, reported, unique, shares @ ..] = row.as_slice() {
                let [set, confirmed, reported, unique] =
                    [set, confirmed, reported, unique].map(shown);
                let _ = write!(text, "{set:<10}{confirmed:>10}{reported:>10}{unique:>10}");
                for share in shares {
                    let share = match share {
                        Cell::Real(it) => Some(*it),
                        _ => None,
                    };
                    let _ = write!(text, "{:>9}", shown_percent(share));
                }
                text.push('\n');
            }
        }
        text
    }
}

fn shown(cell: &Cell) -> String {
    match cell {
        Cell::Text(text) => text.clone(),
        Cell::Integer(number) => number.to_string(),
        Cell::Real(number) => number.to_string(),
        Cell::Unknown => "-".to_owned(),
    }
}

fn csv_name(item: &Item, table: &Table) -> String {
    format!("{}_{}.csv", item.id, table.id)
}

/// A table as CSV with one header line; unknown is empty.
fn csv(table: &Table) -> io::Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(table.columns.iter().map(|column| &column.name))?;
    for row in &table.rows {
        writer.write_record(row.iter().map(|cell| match cell {
            Cell::Unknown => String::new(),
            cell => shown(cell),
        }))?;
    }
    writer.into_inner().map_err(csv::IntoInnerError::into_error)
}

fn written(path: &Path, bytes: &[u8]) -> Result<(), ReportError> {
    fs::write(path, bytes).map_err(|source| not_written(path, source))
}

fn printed(text: &str) -> Result<(), ReportError> {
    let mut out = io::stdout().lock();
    let done = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    done.map_err(|source| not_written(Path::new("standard output"), source))
}

fn not_written(path: &Path, source: io::Error) -> ReportError {
    let path: PathBuf = path.to_owned();
    ReportError::Output { path, source }
}

/// One `btda: ` line for each line of `text`, to standard error.
pub(super) fn complain(text: &str) {
    for line in text.lines() {
        let _ = writeln!(io::stderr(), "btda: {line}");
    }
}
