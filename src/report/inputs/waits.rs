//! The timeout file of a calibration run (contract section 8): a million
//! numbers on one line, so it is read byte by byte.

use std::io::{BufReader, Read};
use std::path::Path;

use super::files::{opened, unreadable};
use crate::outside::outside_text;
use crate::report::ReportError;
use crate::report::tally::Waits;

/// Longest last line.
const LAST_LINE_MAX: usize = 200;

/// Reads a timeout file: the list in brackets, then `N of M are below T`.
pub fn waits(path: &Path) -> Result<Waits, ReportError> {
    let mut bytes = BufReader::new(opened(path)?).bytes();
    let mut next = || {
        let byte = bytes.next().transpose();
        byte.map_err(|source| unreadable(path, &source.to_string()))
    };
    if next()? != Some(b'[') {
        return Err(unreadable(path, "it does not begin with ["));
    }
    let mut waits = Waits::default();
    let mut number: Option<u64> = None;
    loop {
        match next()? {
            Some(digit @ b'0'..=b'9') => {
                let digit = u64::from(digit - b'0');
                let so_far = number.unwrap_or(0);
                number = Some(so_far.saturating_mul(10).saturating_add(digit));
            }
            Some(end @ (b',' | b']')) => {
                number.take().into_iter().for_each(|it| waits.push(it));
                if end == b']' {
                    break;
                }
            }
            Some(b' ') => {}
            Some(_) => return Err(unreadable(path, "the list holds something but numbers")),
            None => return Err(unreadable(path, "the list has no end")),
        }
    }
    let mut line = Vec::new();
    while let Some(byte) = next()?.filter(|_| line.len() < LAST_LINE_MAX) {
        line.push(byte);
    }
    let line = String::from_utf8_lossy(&line);
    let words: Vec<_> = line.split_whitespace().collect();
    if let [within, "of", all, "are", "below", timeout] = words.as_slice() {
        let counts = within.parse().ok().zip(all.parse().ok());
        waits.within = counts;
        waits.timeout = counts.map(|_| outside_text(timeout.as_bytes()));
    }
    Ok(waits)
}
