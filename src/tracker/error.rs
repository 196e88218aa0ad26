//! Why a tracker's answer is none.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use crate::model::Reason;
use crate::net::http::HttpError;
use crate::net::{NetError, Operation};
use crate::outside::outside_text;

/// When a refused request may be repeated (`retry in`, BEP 31).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryIn {
    /// After this time.
    After(Duration),
    /// Not in this run.
    Never,
}

/// A failed announce or scrape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrackerError {
    /// The socket failed or the deadline passed (UDP).
    Net(NetError),
    /// No HTTP answer.
    Http(HttpError),
    /// An HTTP status other than success, without a failure reason.
    Status(u16),
    /// The tracker refused: its `failure reason` or error packet.
    Refused {
        /// What it said, raw.
        text: Vec<u8>,
        /// When to ask again, if it said that.
        retry: Option<RetryIn>,
    },
    /// The body is no bencoding (an HTML page, say).
    NotBencoded,
    /// The body is bencoded, but no dictionary.
    NotDictionary,
    /// An announce answer without `peers`, `peers6` and `interval`.
    NoPeers,
    /// `peers` is neither string nor list.
    PeersType,
    /// The compact peer list has no multiple of 6 bytes.
    PeersLength,
    /// The scrape answer has no `files` dictionary.
    NoFiles,
    /// The scrape answer does not name the torrent.
    NotScraped,
    /// The scrape answer has no number of downloads.
    NoDownloads,
    /// There is no second address family to ask it over; not a failure.
    OneFamily,
    /// The announce URL cannot be used.
    Url(super::url::UrlError),
    /// The system gave no random numbers.
    NoRandom,
    /// The system refused a thread for the request.
    NoThread,
    /// A defect of ours ended the request.
    Aborted,
}

impl TrackerError {
    /// Text for the tracker error file: stable, on one line, without numbers
    /// that change; digits in a tracker's own words become `#`, or each
    /// countdown would make a line of its own.
    pub fn label(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Net(error) => return net_label(*error),
            Self::Http(error) => return error.label(),
            Self::Status(status) => return Cow::Owned(format!("HTTP status {status}")),
            Self::Refused { text, .. } => return Cow::Owned(refusal(text)),
            Self::NotBencoded => "Answer is not bencoded",
            Self::NotDictionary => "Answer is no dictionary",
            Self::NoPeers => "Answer without peers",
            Self::PeersType => "Peers are neither string nor list",
            Self::PeersLength => "Compact peers of wrong length",
            Self::NoFiles => "Scrape answer without files",
            Self::NotScraped => "Scrape answer without the torrent",
            Self::NoDownloads => "Scrape answer without downloads",
            Self::OneFamily => "One address family only",
            Self::Url(error) => error.label(),
            Self::NoRandom => "No random numbers from the system",
            Self::NoThread => "No thread for the request",
            Self::Aborted => "Request aborted by a defect",
        })
    }

    /// Whether the tracker could not be reached, so that asking for other
    /// torrents would fail in the same way.
    pub(super) const fn is_unreachable(&self) -> bool {
        matches!(
            self,
            Self::Net(_) | Self::Http(HttpError::Net(_) | HttpError::HostNotFound | HttpError::Tls)
        )
    }

    /// What the tracker says about asking again.
    pub const fn retry(&self) -> Option<RetryIn> {
        match self {
            Self::Refused { retry, .. } => *retry,
            _ => None,
        }
    }
}

fn net_label(error: NetError) -> Cow<'static, str> {
    if error.operation == Operation::Resolve && error.reason == Reason::Closed {
        return HttpError::HostNotFound.label();
    }
    error.reason.label()
}

fn refusal(text: &[u8]) -> String {
    let mut stable = String::from("Refused: ");
    for character in outside_text(text).chars() {
        if !character.is_ascii_digit() {
            stable.push(character);
        } else if !stable.ends_with('#') {
            stable.push('#');
        }
    }
    stable
}

/// For the log: as the label, with a tracker's own words in full.
impl fmt::Display for TrackerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Net(error) => error.fmt(f),
            Self::Refused { text, .. } => write!(f, "refused: {}", outside_text(text)),
            _ => f.write_str(&self.label()),
        }
    }
}

impl std::error::Error for TrackerError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_countdown_makes_one_label() {
        let refused = |text: &[u8]| {
            TrackerError::Refused {
                text: text.to_vec(),
                retry: None,
            }
            .label()
            .into_owned()
        };
        assert_eq!(refused(b"wait 12 s\n"), refused(b"wait 1799 s"));
        assert_eq!(refused(b"wait 9 s"), "Refused: wait # s");
    }

    #[test]
    fn network_labels_are_those_of_2015() {
        let label = |operation, reason| {
            TrackerError::Net(NetError { operation, reason })
                .label()
                .into_owned()
        };
        assert_eq!(label(Operation::Read, Reason::TimedOut), "timed out");
        assert_eq!(
            label(Operation::Read, Reason::REFUSED),
            "[Errno 111] Connection refused"
        );
        assert_eq!(
            label(Operation::Resolve, Reason::Closed),
            "Host name not found"
        );
    }
}
