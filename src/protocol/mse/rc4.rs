//! The stream cipher RC4. Weak by today's standards, and what MSE demands; it
//! hides the protocol from simple filters, nothing more.

/// Bytes of the key stream that MSE throws away at the start.
const DISCARDED: usize = 1024;

/// One direction of an encrypted stream; encrypting and decrypting are the
/// same.
#[derive(Clone)]
pub(super) struct Rc4 {
    state: [u8; 256],
    i: u8,
    j: u8,
}

impl Rc4 {
    /// The cipher of `key`, behind the bytes that MSE throws away.
    pub(super) fn new(key: [u8; 20]) -> Self {
        let mut cipher = Self::at_start(&key);
        for _ in 0..DISCARDED {
            cipher.next();
        }
        cipher
    }

    fn at_start(key: &[u8]) -> Self {
        let mut state = [0; 256];
        for (slot, value) in state.iter_mut().zip(0..=u8::MAX) {
            *slot = value;
        }
        let mut cipher = Self { state, i: 0, j: 0 };
        for (i, key) in (0..=u8::MAX).zip(key.iter().cycle()) {
            let j = cipher.j.wrapping_add(cipher.at(i)).wrapping_add(*key);
            cipher.state.swap(usize::from(i), usize::from(j));
            cipher.j = j;
        }
        cipher.j = 0;
        cipher
    }

    /// A byte is always a place in the state.
    const fn at(&self, place: u8) -> u8 {
        self.state[place as usize]
    }

    fn next(&mut self) -> u8 {
        self.i = self.i.wrapping_add(1);
        let first = self.at(self.i);
        self.j = self.j.wrapping_add(first);
        let second = self.at(self.j);
        self.state.swap(usize::from(self.i), usize::from(self.j));
        self.at(first.wrapping_add(second))
    }

    /// Encrypts or decrypts the next bytes of the stream.
    pub(super) fn apply(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            *byte ^= self.next();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(key: &[u8], skip: usize) -> [u8; 16] {
        let mut cipher = Rc4::at_start(key);
        for _ in 0..skip {
            cipher.next();
        }
        let mut bytes = [0; 16];
        cipher.apply(&mut bytes);
        bytes
    }

    /// Key streams that RFC 6229 gives, at the offsets 0 and 1024.
    #[test]
    fn gives_the_key_streams_of_rfc_6229() {
        for (key, start, later) in [
            (
                &[1, 2, 3, 4, 5][..],
                0xb239_6305_f03d_c027_ccc3_524a_0a11_18a8_u128,
                0x30ab_bcc7_c20b_0160_9f23_ee2d_5f6b_b7df_u128,
            ),
            (
                &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16][..],
                0x9ac7_cc9a_609d_1ef7_b293_2899_cde4_1b97,
                0xbdf0_324e_6083_dcc6_d3ce_dd3c_a8c5_3c16,
            ),
        ] {
            assert_eq!(stream(key, 0), start.to_be_bytes());
            assert_eq!(stream(key, DISCARDED), later.to_be_bytes());
        }
    }

    #[test]
    fn twice_is_nothing_and_cuts_do_not_matter() {
        let plain: Vec<u8> = (0..200).collect();
        let mut whole = plain.clone();
        Rc4::new([9; 20]).apply(&mut whole);
        let mut parts = plain.clone();
        let mut cipher = Rc4::new([9; 20]);
        for part in parts.chunks_mut(7) {
            cipher.apply(part);
        }
        assert_eq!(parts, whole);
        Rc4::new([9; 20]).apply(&mut whole);
        assert_eq!(whole, plain);
    }
}
