//! A second reading of what a peer told, with all bytes in hand and no state
//! but a list of pieces.

use btda::config::settings::VisitSettings;
use btda::model::{PieceCount, Torrent};
use btda::protocol::extension::ExtendedHandshake;

/// What a visit comes to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sum {
    /// Distinct pieces at the end.
    pub(super) pieces: u32,
    /// Messages of all kinds.
    pub(super) messages: u32,
    /// Whether anything was told of pieces.
    pub(super) told: bool,
    /// Pieces when less than the threshold was told last.
    pub(super) below: Option<u32>,
    /// Pieces when the threshold was reached since.
    pub(super) reached: Option<u32>,
}

/// What both sides speak.
#[derive(Clone, Copy)]
pub(super) struct Spoken {
    /// BEP 6.
    pub(super) fast: bool,
    /// BEP 10.
    pub(super) extension: bool,
}

/// Reads `stream`, which follows the handshake, by BEP 3, 6 and 54; with all
/// counts below the threshold that were told on the way.
pub(super) fn naive(
    stream: &[u8],
    spoken: Spoken,
    settings: &VisitSettings,
    torrent: &Torrent,
) -> (Sum, Vec<u32>) {
    let mut pieces = vec![false; torrent.pieces.0 as usize];
    let keep = if settings.extension_protocol {
        4096
    } else {
        16
    };
    let keep = pieces.len().div_ceil(8).max(keep);
    let mut sum = Sum {
        pieces: 0,
        messages: 0,
        told: false,
        below: None,
        reached: None,
    };
    let mut belows = Vec::new();
    let mut greeted = !spoken.extension;
    let mut rest = stream;
    while let Some((prefix, behind)) = rest.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*prefix) as usize;
        let long = length > keep + 1;
        let message = behind.get(..if long { 1 } else { length });
        let Some(message) = message.filter(|_| length <= 1 << 20) else {
            break;
        };
        sum.messages += 1;
        greeted |= !long && is_extended_handshake(message);
        match naive_message(message, long, spoken, &mut pieces) {
            Taken::Told => {
                sum.told = true;
                sum.note(&pieces, torrent.threshold);
            }
            Taken::Lost if sum.told => sum.note(&pieces, torrent.threshold),
            Taken::Nothing | Taken::Lost => {}
            Taken::Malformed if settings.ignore_malformed => {}
            Taken::Piece | Taken::Malformed => break,
        }
        belows.extend(sum.below);
        let complete = sum.told && sum.pieces == torrent.pieces.0;
        let enough = sum.messages >= settings.message_limit;
        let Some(next) = behind.get(length..) else {
            break;
        };
        if settings.finish_when_complete && complete && greeted || enough {
            break;
        }
        rest = next;
    }
    if !sum.told {
        sum.note(&pieces, torrent.threshold);
    }
    (sum, belows)
}

/// Whether a message is an extended handshake; what it says is tried
/// elsewhere (`messages`).
fn is_extended_handshake(message: &[u8]) -> bool {
    matches!(message, [20, 0, rest @ ..] if ExtendedHandshake::parse(rest).is_ok())
}

impl Sum {
    fn note(&mut self, pieces: &[bool], threshold: PieceCount) {
        let count = pieces.iter().filter(|piece| **piece).count();
        self.pieces = u32::try_from(count).expect("a count");
        if self.pieces < threshold.0 {
            self.below = Some(self.pieces);
            self.reached = None;
        } else {
            self.reached = self.reached.or(Some(self.pieces));
        }
    }
}

enum Taken {
    Told,
    Lost,
    Nothing,
    Piece,
    Malformed,
}

fn naive_message(message: &[u8], long: bool, spoken: Spoken, pieces: &mut [bool]) -> Taken {
    let Some((&id, payload)) = message.split_first() else {
        return Taken::Nothing;
    };
    match id {
        7 => Taken::Piece,
        5 => naive_bitfield(payload, long, pieces),
        0..=3 | 14 | 15 if long || !payload.is_empty() => Taken::Malformed,
        14 | 15 if spoken.fast => {
            pieces.fill(id == 14);
            Taken::Told
        }
        4 | 13 | 17 if long || payload.len() != 4 => Taken::Malformed,
        4 => {
            let index = u32::from_be_bytes([payload[0], payload[1], payload[2], payload[3]]);
            match pieces.get_mut(index as usize) {
                Some(piece) => {
                    *piece = true;
                    Taken::Told
                }
                None => Taken::Malformed,
            }
        }
        20 if spoken.extension && !long && payload.first() == Some(&1) => {
            let Ok(index) = <[u8; 4]>::try_from(&payload[1..]) else {
                return Taken::Malformed;
            };
            match pieces.get_mut(u32::from_be_bytes(index) as usize) {
                Some(piece) => {
                    *piece = false;
                    Taken::Lost
                }
                None => Taken::Malformed,
            }
        }
        6 | 8 | 16 if long || payload.len() != 12 => Taken::Malformed,
        9 if long || payload.len() != 2 => Taken::Malformed,
        _ => Taken::Nothing,
    }
}

fn naive_bitfield(payload: &[u8], long: bool, pieces: &mut [bool]) -> Taken {
    let bit = |index: usize| payload[index / 8] >> (7 - index % 8) & 1 == 1;
    let right_length = !long && payload.len() == pieces.len().div_ceil(8);
    if !right_length || (pieces.len()..payload.len() * 8).any(bit) {
        return Taken::Malformed;
    }
    for (index, piece) in pieces.iter_mut().enumerate() {
        *piece = bit(index);
    }
    Taken::Told
}
