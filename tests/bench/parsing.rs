//! Parsing: the bytes of a bitfield and many haves, as a visit reads them,
//! from the frames to the set of pieces.
//!
//! Yardstick: the same bytes copied once, and their bits counted.

use std::hint::black_box;
use std::time::Instant;

use btda::analyzer::evaluate::Heard;
use btda::model::{PieceIndex, PieceSet, Torrent};
use btda::protocol::frame::{FrameDecoder, FrameLimits};
use btda::protocol::message::{Message, encode_have};

use super::Scale;
use super::peers::bitfield;
use super::table::{Row, Spread, paired, per};
use super::world::torrent;

/// Bytes that a visit reads at one time.
const READ_SIZE: usize = 2048;

pub(crate) fn measure(scale: Scale) {
    for (factor, load) in [(1, "1×"), (4, "4×"), (16, "16×")] {
        let (pieces, haves) = (16_384 * factor, 256 * factor);
        let bytes = speech(pieces, haves);
        let turns = scale.pick(20_000, 100) / factor as usize;
        let rounds: Vec<(f64, f64)> = (0..scale.pick(15, 2))
            .map(|_| {
                (
                    parse_often(&bytes, pieces, turns),
                    copy_often(&bytes, turns),
                )
            })
            .collect();
        let (figure, yardstick, ratio) = paired(&rounds);
        let load = format!("{load}: {pieces} pieces, {haves} haves");
        let row = Row::new("parsing of bitfield and haves", load)
            .figure(figure.seconds())
            .yardstick(format!("copy and popcount {}", yardstick.seconds()))
            .ratio(&ratio);
        let each = Spread::of(rounds.iter().map(|round| round.0 / f64::from(haves + 1)));
        let row = if factor == 1 {
            row.goal("≤ 3", ratio.median <= 3.0)
        } else {
            row
        };
        row.tell();
        if factor == 1 {
            Row::new("the same, a message", "1×")
                .figure(each.seconds())
                .tell();
        }
    }
}

fn speech(pieces: u32, haves: u32) -> Vec<u8> {
    let mut bytes = bitfield(pieces, 0x55);
    for number in 0..haves {
        encode_have(PieceIndex(number * 62 % pieces), &mut bytes);
    }
    bytes
}

fn parse_often(bytes: &[u8], pieces: u32, turns: usize) -> f64 {
    let torrent = torrent(pieces);
    let start = Instant::now();
    for _ in 0..turns {
        black_box(parse(black_box(bytes), &torrent, start));
    }
    per(start.elapsed(), turns)
}

/// What `analyzer::visit` does between two reads.
fn parse(bytes: &[u8], torrent: &Torrent, now: Instant) -> u32 {
    let keep = PieceSet::bitfield_len(torrent.pieces);
    let mut frames = FrameDecoder::new(FrameLimits {
        keep,
        max_length: 1 << 20,
    });
    let mut heard = Heard::new(torrent, false);
    for chunk in bytes.chunks(READ_SIZE) {
        let mut input = chunk;
        while !input.is_empty() {
            if !frames.is_mid_frame() {
                let haves = heard.take_haves(input, u32::MAX, now);
                input = &input[haves..];
            }
            let (used, frame) = frames.feed(input).expect("no message is too long");
            if let Some(frame) = frame {
                let message = Message::parse(frame);
                heard.take(&message, now).expect("all is valid");
            }
            input = &input[used..];
        }
    }
    heard.pieces.count().0
}

fn copy_often(bytes: &[u8], turns: usize) -> f64 {
    let mut copy = vec![0; bytes.len()];
    let start = Instant::now();
    for _ in 0..turns {
        copy.copy_from_slice(black_box(bytes));
        black_box(ones(black_box(&copy)));
    }
    per(start.elapsed(), turns)
}

fn ones(bytes: &[u8]) -> u32 {
    let (words, rest) = bytes.as_chunks::<8>();
    let ones: u32 = words
        .iter()
        .map(|word| u64::from_ne_bytes(*word).count_ones())
        .sum();
    ones + rest.iter().map(|byte| byte.count_ones()).sum::<u32>()
}
