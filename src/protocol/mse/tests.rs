//! Both sides against numbers that another program computed, and against
//! each other.
//!
//! The numbers come from a few lines of Python on its own integers, SHA-1 and
//! a cipher written there; nothing of ours took part in them.

use proptest::prelude::*;

use super::dh::KeyPair;
use super::*;

const SKEY: InfoHash = InfoHash::new([7; 20]);

const KEY_A: &str = "96e112dab29e8c5272accb9b17b26887ce54a144a4e3b697c7d159b7a817e556b0918db2b4c658e0\
    2a87f7e5fb14b18a553e084cbf3dad2d30f16596ccb982d406258c61b30c5c1dae2ddc60bdbd48d79896312aad63238c39e1\
    a633821eb693";
const KEY_B: &str = "03c593e7dcfea0f15646f07b91aab5c9d94bea8862cfa18beb3f0621fc92df7a76dbb155a5d50b5e\
    9f66def0854433675e74fb2b5c0c3a2ae060a0f6d417fd429f5368a632bbb0008609ab2e9520a8fec77abb2631833b72ac8a\
    5028ae2b76c2";
const SECRET: &str = "2821a957fd9c8fd5c7c11aa203a8ea7381deb98dd43569f5e9564b001b40aff0708be4e5dcc07bf3\
    5d9bdb055a2ad2b989cf30456f27f00bd1bcc11bf22b75896c10732d840666bfd0731965a439f3c28ad5311d5d1a0f09baea\
    34cbffd58af9";
/// Our third message: both methods offered, 5 bytes of padding, `initial
/// bytes`.
const PROOF: &str = "01940d77d5d2bd148765495c55d8e5359a33066883e99d675d8562eeffa8e3496d32e2ec3de91f0e\
    5164a8a034afe060df616e112c0fec48772508f090fee027b3b34d82b307fe39cf32";
/// The answer: RC4 selected, 3 bytes of padding.
const ANSWER: &str = "f082220da050f6e95afaf7914b3d9205e0";
/// `from A` and `from B`, behind all that.
const FROM_A: &str = "b9196e77a272";
const FROM_B: &str = "97426648d8ef";

fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}

fn chance_a() -> Chance {
    Chance {
        exponent: std::array::from_fn(|i| u8::try_from(i + 1).unwrap()),
        pad: b"pad a".to_vec(),
        inner_pad: 5,
    }
}

fn chance_b() -> Chance {
    Chance {
        exponent: std::array::from_fn(|i| u8::try_from(i + 200).unwrap()),
        pad: b"padding b".to_vec(),
        inner_pad: 3,
    }
}

/// The torrents that a responder knows.
struct Known(Vec<InfoHash>);

impl Torrents for Known {
    fn by_torrent_hash(&self, hash: &[u8; DIGEST_LEN]) -> Option<InfoHash> {
        self.0
            .iter()
            .copied()
            .find(|skey| torrent_hash(skey) == *hash)
    }
}

fn known() -> Known {
    Known(vec![InfoHash::new([1; 20]), SKEY])
}

#[test]
fn keys_and_secret_are_those_of_another_program() {
    let (a, b) = (
        KeyPair::new(chance_a().exponent),
        KeyPair::new(chance_b().exponent),
    );
    assert_eq!(
        (hex(&a.public), hex(&b.public)),
        (KEY_A.into(), KEY_B.into())
    );
    assert_eq!(hex(&a.secret(&b.public)), SECRET);
    assert_eq!(hex(&b.secret(&a.public)), SECRET);
    assert_eq!(
        hex(&torrent_hash(&SKEY)),
        "4a90947f810ab816d0d9b5370b2b1dddde511d77"
    );
}

/// Keys that no honest side sends: 0, 1, the prime and its neighbours, and
/// the greatest.
#[test]
fn any_96_bytes_are_a_key() {
    let prime = {
        let mut prime = [0; KEY_LEN];
        let text = "ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74\
            020bbea63b139b22514a08798e3404ddef9519b3cd3a431b302b0a6df25f1437\
            4fe1356d6d51c245e485b576625e7ec6f44c42e9a63a36210000000000090563";
        for (i, slot) in prime.iter_mut().enumerate() {
            *slot = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap();
        }
        prime
    };
    let near = |last: u8| {
        let mut key = prime;
        key[KEY_LEN - 1] = last;
        key
    };
    let small = |last: u8| {
        let mut key = [0; KEY_LEN];
        key[KEY_LEN - 1] = last;
        key
    };
    let keys = KeyPair::new(chance_a().exponent);
    for (theirs, digest) in [
        (small(0), "c49a9785b2243f2f080daad1747f119acceccfa5"),
        (small(1), "bae5acec18540ed309780c9594c3747fc4e16fe1"),
        (near(0x62), "bae5acec18540ed309780c9594c3747fc4e16fe1"),
        (prime, "c49a9785b2243f2f080daad1747f119acceccfa5"),
        (near(0x64), "bae5acec18540ed309780c9594c3747fc4e16fe1"),
        ([0xff; KEY_LEN], "841ae16ac2f07567224910caa08f3158fda54704"),
    ] {
        assert_eq!(hex(&hash(&[&keys.secret(&theirs)])), digest);
    }
}

#[test]
fn a_conversation_has_the_bytes_of_another_program() {
    let mut to_b = Vec::new();
    let mut a = Initiator::new(
        SKEY,
        Methods::BOTH,
        b"initial bytes",
        &chance_a(),
        &mut to_b,
    );
    assert_eq!(hex(&to_b), format!("{KEY_A}{}", hex(b"pad a")));
    let mut b = Responder::new(Method::Rc4, &chance_b());
    let mut to_a = Vec::new();
    assert_eq!(b.feed(&to_b, &known(), &mut to_a), Ok(to_b.len()));
    assert_eq!(hex(&to_a), format!("{KEY_B}{}", hex(b"padding b")));
    assert!(!b.is_proved());
    to_b.clear();
    assert_eq!(a.feed(&to_a, &mut to_b), Ok(to_a.len()));
    assert_eq!(hex(&to_b), PROOF);
    to_a.clear();
    let initial = b"initial bytes".len();
    assert_eq!(b.feed(&to_b, &known(), &mut to_a), Ok(to_b.len() - initial));
    assert_eq!(hex(&to_a), ANSWER);
    assert!(b.is_proved() && a.sealed().is_none());
    assert_eq!(a.feed(&to_a, &mut Vec::new()), Ok(to_a.len()));

    let (mut a, mut b) = (a.sealed().unwrap(), b.sealed().unwrap());
    assert_eq!((a.method, b.method), (Method::Rc4, Method::Rc4));
    let initial = &mut to_b[PROOF.len() / 2 - initial..];
    b.decrypt.apply(initial);
    assert_eq!(initial, b"initial bytes");
    for (from, to, plain, sent) in [
        (&mut a.encrypt, &mut b.decrypt, b"from A", FROM_A),
        (&mut b.encrypt, &mut a.decrypt, b"from B", FROM_B),
    ] {
        let mut bytes = *plain;
        from.apply(&mut bytes);
        assert_eq!(hex(&bytes), sent);
        to.apply(&mut bytes);
        assert_eq!(bytes, *plain);
    }
}

/// Feeds one machine in chunks of `sizes`, again and again; tells what was
/// left over.
fn feed(
    input: &[u8],
    sizes: &[usize],
    mut take: impl FnMut(&[u8]) -> Result<usize, MseError>,
) -> Result<usize, MseError> {
    let mut at = 0;
    for size in sizes.iter().cycle() {
        let end = (at + size).min(input.len());
        let used = take(&input[at..end])?;
        at += used;
        if used < end - (at - used) || at == input.len() {
            break;
        }
    }
    Ok(at)
}

fn method() -> impl Strategy<Value = Method> {
    prop_oneof![Just(Method::Plaintext), Just(Method::Rc4)]
}

fn methods() -> impl Strategy<Value = Methods> {
    prop_oneof![Just(Methods::BOTH), method().prop_map(Methods::only)]
}

fn chance() -> impl Strategy<Value = Chance> {
    let pad = prop::collection::vec(any::<u8>(), 0..=PAD_MAX);
    let inner = prop_oneof![Just(0_u16), Just(512), 0_u16..=512];
    (any::<[u8; EXPONENT_LEN]>(), pad, inner).prop_map(|(exponent, pad, inner_pad)| Chance {
        exponent,
        pad,
        inner_pad,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn both_sides_understand_each_other_in_any_chunks(
        (chance_a, chance_b) in (chance(), chance()),
        (provide, prefer) in (methods(), method()),
        initial in prop::collection::vec(any::<u8>(), 0..300),
        (early, late) in (prop::collection::vec(any::<u8>(), 0..40), prop::collection::vec(any::<u8>(), 0..40)),
        sizes in prop::collection::vec(1_usize..200, 1..20),
    ) {
        let known = known();
        let mut to_b = Vec::new();
        let mut a = Initiator::new(SKEY, provide, &initial, &chance_a, &mut to_b);
        let mut b = Responder::new(prefer, &chance_b);
        let mut to_a = Vec::new();
        prop_assert_eq!(feed(&to_b, &sizes, |part| b.feed(part, &known, &mut to_a)), Ok(to_b.len()));
        prop_assert_eq!(to_a.len(), KEY_LEN + chance_b.pad.len());
        to_b.clear();
        prop_assert_eq!(feed(&to_a, &sizes, |part| a.feed(part, &mut to_b)), Ok(to_a.len()));
        to_a.clear();
        // The padding ends, and the initial bytes begin, in the same chunk.
        let taken = feed(&to_b, &sizes, |part| b.feed(part, &known, &mut to_a)).unwrap();
        prop_assert_eq!(taken, to_b.len() - initial.len());
        let mut sealed_b = b.sealed().unwrap();
        prop_assert!(b.sealed().is_none());
        prop_assert!(provide.contains(sealed_b.method));
        prop_assert!(sealed_b.method == prefer || !provide.contains(prefer));

        let mut rest = to_b[taken..].to_vec();
        sealed_b.decrypt.apply(&mut rest);
        prop_assert_eq!(&rest, &initial);
        let mut early_bytes = early.clone();
        sealed_b.encrypt.apply(&mut early_bytes);
        let answer = to_a.len();
        to_a.extend(&early_bytes);
        let taken = feed(&to_a, &sizes, |part| a.feed(part, &mut Vec::new())).unwrap();
        prop_assert_eq!(taken, answer);
        let mut sealed_a = a.sealed().unwrap();
        prop_assert_eq!(sealed_a.method, sealed_b.method);
        let mut rest = to_a[taken..].to_vec();
        sealed_a.decrypt.apply(&mut rest);
        prop_assert_eq!(rest, early);
        let mut bytes = late.clone();
        sealed_a.encrypt.apply(&mut bytes);
        if sealed_a.method == Method::Plaintext {
            prop_assert_eq!(&bytes, &late);
        }
        for part in bytes.chunks_mut(3) {
            sealed_b.decrypt.apply(part);
        }
        prop_assert_eq!(bytes, late);
    }

    /// Whatever comes: no panic, no more than the limit kept, an end.
    #[test]
    fn garbage_ends_in_time(
        bytes in prop::collection::vec(any::<u8>(), 0..1400),
        sizes in prop::collection::vec(1_usize..200, 1..20),
    ) {
        let mut out = Vec::new();
        let mut a = Initiator::new(SKEY, Methods::BOTH, &[], &chance_a(), &mut out);
        let ended = feed(&bytes, &sizes, |part| a.feed(part, &mut out));
        prop_assert_eq!(ended, if bytes.len() < KEY_LEN + PAD_MAX + 8 { Ok(bytes.len()) } else { Err(MseError::NotSynchronized) });
        prop_assert!(a.sealed().is_none());
        let mut b = Responder::new(Method::Rc4, &chance_b());
        let ended = feed(&bytes, &sizes, |part| b.feed(part, &known(), &mut out));
        prop_assert_eq!(ended, if bytes.len() < KEY_LEN + PAD_MAX + 20 { Ok(bytes.len()) } else { Err(MseError::NotSynchronized) });
        prop_assert!(b.sealed().is_none());
    }
}

/// A responder that has seen `key A`, and the cipher towards it.
fn responder_and_cipher() -> (Responder, super::cipher::Pair, Vec<u8>) {
    let (mut b, mut out) = (Responder::new(Method::Rc4, &chance_b()), Vec::new());
    let a = KeyPair::new(chance_a().exponent);
    b.feed(&a.public, &known(), &mut out).unwrap();
    let secret = a.secret(&KeyPair::new(chance_b().exponent).public);
    let mut proof = hash(&[b"req1", &secret]).to_vec();
    proof.extend(xor(torrent_hash(&SKEY), hash(&[b"req3", &secret])));
    (b, super::cipher::Pair::new(&secret, &SKEY), proof)
}

#[test]
fn a_caller_is_refused_for_its_reason() {
    for (verification, methods, pad, wanted) in [
        (0_u64, 3_u32, 0_u16, None),
        (0, 0xffff_fff1, 512, None),
        (0, 2, 513, Some(MseError::PaddingTooLong)),
        (0, 0, 0, Some(MseError::NoMethod)),
        (0, 0xffff_fffc, 0, Some(MseError::NoMethod)),
        (1, 3, 0, Some(MseError::NotVerified)),
    ] {
        let (mut b, mut pair, proof) = responder_and_cipher();
        assert_eq!(b.feed(&proof, &known(), &mut Vec::new()), Ok(40));
        let mut bytes = verification.to_be_bytes().to_vec();
        bytes.extend(methods.to_be_bytes());
        bytes.extend(pad.to_be_bytes());
        pair.forth.apply(&mut bytes);
        let end = b.feed(&bytes, &known(), &mut Vec::new());
        assert_eq!(end.err(), wanted, "{methods:x} {pad}");
        if wanted.is_some() {
            // Nothing happens behind an error.
            assert_eq!(b.feed(&[0; 999], &known(), &mut Vec::new()), Ok(0));
            assert!(b.sealed().is_none());
        }
    }
    let (mut b, _, proof) = responder_and_cipher();
    let stranger = Known(vec![InfoHash::new([8; 20])]);
    let end = b.feed(&proof, &stranger, &mut Vec::new());
    assert_eq!(end, Err(MseError::UnknownTorrent));
}

#[test]
fn an_answer_that_breaks_the_rules_is_refused() {
    for (provide, select, pad, wanted) in [
        (Methods::BOTH, 3_u32, 0_u16, Some(MseError::NoMethod)),
        (Methods::BOTH, 0, 0, Some(MseError::NoMethod)),
        (Methods::only(Method::Rc4), 1, 0, Some(MseError::NoMethod)),
        (Methods::only(Method::Plaintext), 1, 512, None),
        (Methods::BOTH, 2, 513, Some(MseError::PaddingTooLong)),
    ] {
        let mut out = Vec::new();
        let mut a = Initiator::new(SKEY, provide, &[], &chance_a(), &mut out);
        let b = KeyPair::new(chance_b().exponent);
        let secret = b.secret(&KeyPair::new(chance_a().exponent).public);
        let mut bytes = [0_u8; 8].to_vec();
        bytes.extend(select.to_be_bytes());
        bytes.extend(pad.to_be_bytes());
        bytes.resize(bytes.len() + usize::from(pad), 0);
        super::cipher::Pair::new(&secret, &SKEY)
            .back
            .apply(&mut bytes);
        a.feed(&b.public, &mut out).unwrap();
        // As much padding as is allowed, all of it zeros.
        assert_eq!(a.feed(&[0; PAD_MAX], &mut out), Ok(PAD_MAX));
        assert_eq!(a.feed(&bytes, &mut out).err(), wanted, "{select} {pad}");
        assert_eq!(a.sealed().is_some(), wanted.is_none());
    }
}

#[test]
fn initial_bytes_have_a_limit() {
    let (mut out, long) = (Vec::new(), vec![1; INITIAL_MAX + 1]);
    let mut a = Initiator::new(SKEY, Methods::BOTH, &long, &chance_a(), &mut out);
    out.clear();
    let b = KeyPair::new(chance_b().exponent);
    a.feed(&b.public, &mut out).unwrap();
    assert_eq!(out.len(), 40 + 16 + 5 + INITIAL_MAX);
}

#[test]
fn chance_comes_from_its_source() {
    let drawn = Chance::draw(|bytes| {
        for (slot, i) in bytes.iter_mut().zip(0_u32..) {
            *slot = (i % 251) as u8;
        }
        Ok::<(), ()>(())
    })
    .unwrap();
    assert_eq!(
        drawn.exponent,
        std::array::from_fn(|i| u8::try_from(i).unwrap())
    );
    // 0x1415 and 0x1617 modulo 513.
    assert_eq!((drawn.pad.len(), drawn.inner_pad), (11, 12));
    assert_eq!(drawn.pad[..3], [24, 25, 26]);
    assert_eq!(Chance::draw(|_| Err("none")).err(), Some("none"));
    for byte in 0..=255 {
        let drawn = Chance::draw(|bytes| {
            bytes.fill(byte);
            Ok::<(), ()>(())
        })
        .unwrap();
        assert!(drawn.pad.len() <= PAD_MAX && usize::from(drawn.inner_pad) <= PAD_MAX);
    }
}
