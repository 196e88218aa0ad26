//! Host names of peers, wherever a result file has them.

use super::{Archive, cells, text};
use crate::storage::error::StorageError;

/// What a name is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameColumn {
    /// The last two labels, as in 2015.
    Host,
    /// The registrable domain by the public suffix list; only in files of ours.
    Domain,
}

/// Names with their peers, the commonest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// The commonest: name and peers.
    pub commonest: Vec<(String, u64)>,
    /// Peers with any name.
    pub named: u64,
}

impl Names {
    /// Adds those of another file, and keeps the `most` commonest.
    pub fn add(&mut self, other: Self, most: usize) {
        self.named = self.named.saturating_add(other.named);
        for (name, count) in other.commonest {
            match self.commonest.iter_mut().find(|(it, _)| *it == name) {
                Some((_, sum)) => *sum = sum.saturating_add(count),
                None => self.commonest.push((name, count)),
            }
        }
        let order =
            |a: &(String, u64), b: &(String, u64)| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0));
        self.commonest.sort_by(order);
        self.commonest.truncate(most);
    }
}

impl Archive {
    /// Whether the file can name peers: our table `host` has rows, or table
    /// `peer` has the column (the run of 2015-08-26, and `_hosts.sqlite`).
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn has_names(&self) -> Result<bool, StorageError> {
        let mut has = self.column_of_2015();
        if self.has("host") {
            self.query("SELECT EXISTS (SELECT 1 FROM host)", |row| {
                has |= cells::count(row, 0)? > 0;
                Ok(())
            })?;
        }
        Ok(has)
    }

    /// The `most` commonest names. Sorted by SQLite, on disk where needed.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn names(&self, of: NameColumn, most: usize) -> Result<Names, StorageError> {
        let (table, column) = match of {
            NameColumn::Host if self.column_of_2015() => ("peer", "host"),
            NameColumn::Host => ("host", "host"),
            NameColumn::Domain => ("host", "domain"),
        };
        let mut names = Names::default();
        if !self.has(table) {
            return Ok(names);
        }
        let sql = format!(
            "SELECT {column}, count(*) AS peers FROM {table} WHERE {column} IS NOT NULL
             GROUP BY {column} ORDER BY peers DESC, {column} LIMIT {most}"
        );
        self.query(&sql, |row| {
            if let Some(name) = text(row, 0)? {
                let entry = (name.into_owned(), cells::count(row, 1)?);
                names.commonest.push(entry);
            }
            Ok(())
        })?;
        self.query(&format!("SELECT count({column}) FROM {table}"), |row| {
            names.named = cells::count(row, 0)?;
            Ok(())
        })?;
        Ok(names)
    }

    /// How look-ups of names ended, with peers; empty for files without our
    /// table `host`.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn name_outcomes(&self) -> Result<Vec<(String, u64)>, StorageError> {
        let mut outcomes = Vec::new();
        if self.has("host") {
            let sql = "SELECT outcome, count(*) FROM host GROUP BY outcome ORDER BY outcome";
            self.query(sql, |row| {
                if let Some(outcome) = text(row, 0)? {
                    outcomes.push((outcome.into_owned(), cells::count(row, 1)?));
                }
                Ok(())
            })?;
        }
        Ok(outcomes)
    }

    fn column_of_2015(&self) -> bool {
        let columns = self.columns.get("peer");
        columns.is_some_and(|columns| columns.contains("host"))
    }
}
