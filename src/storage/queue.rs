//! Computed rows in order, with the borders between records. Pure; writer
//! thread only.
//!
//! The rows of one record belong together: a transaction ends between two
//! records, never inside one, so that the sums of the contract hold at every
//! commit, also after the process was killed.

use std::collections::VecDeque;

use super::row::Row;

/// Rows that wait.
#[derive(Debug, Default)]
pub(super) struct Queue {
    rows: VecDeque<Row>,
    /// Rows of each record.
    records: VecDeque<usize>,
    bytes: usize,
}

/// The rows of so many whole records at the front.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Batch {
    pub(super) rows: usize,
    pub(super) records: usize,
}

impl Queue {
    /// Rows.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Records, also such of which no row is left.
    pub(super) fn records(&self) -> usize {
        self.records.len()
    }

    /// Roughly the memory that the rows take.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Appends the rows of one record.
    pub(super) fn push(&mut self, record: impl IntoIterator<Item = Row>) {
        let before = self.rows.len();
        self.rows.extend(record);
        let rows = self.rows.len() - before;
        self.bytes += self.rows.range(before..).map(Row::size).sum::<usize>();
        self.records.push_back(rows);
    }

    /// The records at the front with at most `most` rows together, but at
    /// least one record.
    pub(super) fn front(&self, most: usize) -> Batch {
        let mut batch = Batch::default();
        for &rows in &self.records {
            if batch.records > 0 && batch.rows + rows > most {
                break;
            }
            batch.rows += rows;
            batch.records += 1;
        }
        batch
    }

    /// The first `rows` rows.
    pub(super) fn first(&self, rows: usize) -> impl Iterator<Item = &Row> + Clone {
        self.rows.iter().take(rows)
    }

    /// The rows of the first `records` records, each with its own.
    pub(super) fn first_records(&self, records: usize) -> impl Iterator<Item = Vec<&Row>> {
        let mut rows = self.rows.iter();
        let sizes = self.records.iter().take(records);
        sizes.map(move |&size| rows.by_ref().take(size).collect())
    }

    /// The row at `place`.
    pub(super) fn row(&self, place: usize) -> Option<&Row> {
        self.rows.get(place)
    }

    /// Removes a batch from the front.
    pub(super) fn drop_front(&mut self, batch: Batch) {
        let gone = self.rows.drain(..batch.rows.min(self.rows.len()));
        let bytes: usize = gone.map(|row| row.size()).sum();
        self.bytes = self.bytes.saturating_sub(bytes);
        self.records.drain(..batch.records.min(self.records.len()));
    }

    /// Removes one row out of its record.
    pub(super) fn remove(&mut self, place: usize) -> Option<Row> {
        let row = self.rows.remove(place)?;
        self.bytes = self.bytes.saturating_sub(row.size());
        let mut end = 0;
        for rows in &mut self.records {
            end += *rows;
            if place < end {
                *rows -= 1;
                break;
            }
        }
        Some(row)
    }

    /// Removes the newest record; `None` when there is none.
    pub(super) fn pop_newest(&mut self) -> Option<Vec<Row>> {
        let rows = self.records.pop_back()?;
        let newest = self.rows.split_off(self.rows.len().saturating_sub(rows));
        let bytes: usize = newest.iter().map(Row::size).sum();
        self.bytes = self.bytes.saturating_sub(bytes);
        Some(newest.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fact(value: &str) -> Row {
        Row::Fact {
            key: "k".into(),
            value: value.to_owned(),
        }
    }

    fn values(queue: &Queue) -> String {
        let rows = queue.first(queue.len());
        rows.map(|row| match row {
            Row::Fact { value, .. } => value.as_str(),
            _ => "?",
        })
        .collect()
    }

    #[test]
    fn batches_end_between_records() {
        let mut queue = Queue::default();
        queue.push([fact("a"), fact("b")]);
        queue.push([fact("c"), fact("d"), fact("e")]);
        queue.push([fact("f")]);
        let sizes = |most| (queue.front(most).rows, queue.front(most).records);
        assert_eq!(sizes(1), (2, 1));
        assert_eq!(sizes(4), (2, 1));
        assert_eq!(sizes(5), (5, 2));
        assert_eq!(sizes(99), (6, 3));
        queue.drop_front(queue.front(2));
        assert_eq!(values(&queue), "cdef");
        let records: Vec<usize> = queue.first_records(9).map(|record| record.len()).collect();
        assert_eq!(records, [3, 1]);
    }

    #[test]
    fn a_row_goes_out_of_its_record() {
        let mut queue = Queue::default();
        queue.push([fact("a")]);
        queue.push([fact("b"), fact("c")]);
        assert_eq!(queue.remove(0), Some(fact("a")));
        assert_eq!(queue.remove(1), Some(fact("c")));
        assert_eq!(queue.remove(1), None);
        assert_eq!((queue.records(), values(&queue).as_str()), (2, "b"));
        assert_eq!(queue.front(1).records, 2, "an empty record goes along");
        assert_eq!(queue.pop_newest(), Some(vec![fact("b")]));
        assert_eq!(queue.pop_newest(), Some(Vec::new()));
        assert_eq!((queue.pop_newest(), queue.bytes()), (None, 0));
    }

    #[test]
    fn memory_is_counted_with_what_a_row_points_to() {
        let mut queue = Queue::default();
        assert_eq!(queue.bytes(), 0);
        queue.push([fact(&"x".repeat(10_000))]);
        assert!(queue.bytes() > 10_000 && queue.bytes() < 11_000);
        queue.drop_front(Batch {
            rows: 1,
            records: 1,
        });
        assert_eq!(queue.bytes(), 0);
    }
}
