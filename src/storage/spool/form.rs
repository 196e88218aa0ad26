//! Lines of a spool file to rows and back. Pure.

use serde::{Deserialize, Serialize};

use crate::storage::database::SCHEMA_VERSION;
use crate::storage::row::Row;

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Header {
    /// Version of the form.
    pub(super) btda_spool: u32,
    /// Version of the tables that the rows are for.
    pub(super) schema: i32,
    /// Fact `start` of the run.
    pub(super) run: String,
    /// Files of a run are numbered from 1 and replayed in that order.
    pub(super) number: u32,
}

impl Header {
    pub(super) fn new(run: &str, number: u32) -> Self {
        Self {
            btda_spool: VERSION,
            schema: SCHEMA_VERSION,
            run: run.to_owned(),
            number,
        }
    }

    /// Whether this program understands the file.
    pub(super) const fn is_known(&self) -> bool {
        self.btda_spool == VERSION && self.schema == SCHEMA_VERSION
    }

    /// With its line end.
    pub(super) fn line(&self) -> serde_json::Result<Vec<u8>> {
        let mut line = serde_json::to_vec(self)?;
        line.push(b'\n');
        Ok(line)
    }
}

/// A line for each record, with line ends.
pub(super) fn lines<'a>(records: impl Iterator<Item = Vec<&'a Row>>) -> Vec<u8> {
    let mut text = Vec::new();
    for record in records {
        let begin = text.len();
        // Rows are plain values: neither the encoding nor a Vec can fail. An
        // empty record keeps the count of lines right all the same.
        if serde_json::to_writer(&mut text, &record).is_err() {
            text.truncate(begin);
            text.extend_from_slice(b"[]");
        }
        text.push(b'\n');
    }
    text
}

/// The rows of one line.
pub(super) fn record(line: &[u8]) -> serde_json::Result<Vec<Row>> {
    serde_json::from_slice(line)
}

const VERSION: u32 = 1;
