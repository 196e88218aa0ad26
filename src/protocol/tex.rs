//! Tracker exchange (BEP 28): the message `lt_tex`, which names trackers that
//! the peer has asked with success. Pure. There is no encoder: we name none.

use super::bencode::{Malformed, Value};

/// Its name in the extended handshake.
pub const LT_TEX: &[u8] = b"lt_tex";

/// Longest URL that is taken, in bytes.
pub const URL_LEN_MAX: usize = 512;

/// The URLs under `added` of a message's payload, `most` of them at the most;
/// those that are empty, too long or no UTF-8 are left out. Whether they are of
/// any use is not looked at.
///
/// # Errors
/// When it does not begin with bencoding.
pub fn added(payload: &[u8], most: usize) -> Result<Vec<String>, Malformed> {
    let (value, _) = Value::parse_prefix(payload)?;
    let urls = value.get(b"added").and_then(Value::list);
    let urls = urls.into_iter().flatten().filter_map(Value::bytes);
    let urls = urls.filter(|url| !url.is_empty() && url.len() <= URL_LEN_MAX);
    let urls = urls.filter_map(|url| std::str::from_utf8(url).ok());
    Ok(urls.take(most).map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn trackers_as_a_peer_names_them() {
        let payload = b"d5:addedl14:udp://a.test:19:http://b/0:i7e2:\xff\xfeee tail";
        let named = added(payload, 9).unwrap();
        assert_eq!(named, ["udp://a.test:1", "http://b/"]);
        assert_eq!(added(payload, 1).unwrap().len(), 1);
        let long = format!("d5:addedl{}:{}ee", 600, "h".repeat(600));
        assert!(added(long.as_bytes(), 9).unwrap().is_empty());
    }

    #[test]
    fn nothing_and_nonsense() {
        for payload in [&b"de"[..], b"d5:addedi6ee", b"d5:added3:abce", b"le"] {
            assert_eq!(added(payload, 9), Ok(Vec::new()));
        }
        assert!(added(b"d5:addedl99:", 9).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(payload in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = added(&payload, 50);
        }
    }
}
