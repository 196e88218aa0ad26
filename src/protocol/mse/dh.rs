//! The Diffie-Hellman exchange of MSE: 768 bits, generator 2, private
//! exponents of 160 bits, which the specification recommends as enough.

use crypto_bigint::modular::ConstMontyForm;
use crypto_bigint::{U192, U768, const_monty_params};

/// Bytes of a public key and of the secret.
pub const KEY_LEN: usize = 96;

/// Bytes of a private exponent.
pub const EXPONENT_LEN: usize = 20;

const EXPONENT_BITS: u32 = 160;

const_monty_params!(
    Prime,
    U768,
    "ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74\
     020bbea63b139b22514a08798e3404ddef9519b3cd3a431b302b0a6df25f1437\
     4fe1356d6d51c245e485b576625e7ec6f44c42e9a63a36210000000000090563"
);

type Residue = ConstMontyForm<Prime, { U768::LIMBS }>;

/// What both sides can compute, and nobody else.
pub(super) type Secret = [u8; KEY_LEN];

/// One side's keys.
pub(super) struct KeyPair {
    exponent: U192,
    /// To be sent, big-endian.
    pub(super) public: [u8; KEY_LEN],
}

impl KeyPair {
    /// The pair of a random `exponent`.
    pub(super) fn new(exponent: [u8; EXPONENT_LEN]) -> Self {
        let mut bytes = [0; 24];
        for (slot, byte) in bytes.iter_mut().rev().zip(exponent.iter().rev()) {
            *slot = *byte;
        }
        let exponent = U192::from_be_slice(&bytes);
        Self {
            exponent,
            public: power(&U768::from_u8(2), &exponent),
        }
    }

    /// The secret shared with the side whose public key is `theirs`; any 96
    /// bytes are a key.
    pub(super) fn secret(&self, theirs: &[u8; KEY_LEN]) -> Secret {
        power(&U768::from_be_slice(theirs), &self.exponent)
    }
}

/// Takes the same time for every exponent.
fn power(base: &U768, exponent: &U192) -> [u8; KEY_LEN] {
    let power = Residue::new(base).pow_bounded_exp(exponent, EXPONENT_BITS);
    let mut bytes = [0; KEY_LEN];
    let words = power.retrieve().to_words();
    let chunks = bytes.chunks_exact_mut(size_of::<crypto_bigint::Word>());
    for (chunk, word) in chunks.zip(words.iter().rev()) {
        chunk.copy_from_slice(&word.to_be_bytes());
    }
    bytes
}
