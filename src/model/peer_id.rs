//! Peer ids (BEP 3, BEP 20).

use std::fmt;

/// The 20 bytes with which a client names itself in the handshake.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PeerId([u8; 20]);

impl PeerId {
    /// Wraps the bytes of a handshake.
    pub const fn new(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }

    /// Our own id for one run: 20 alphanumeric characters made from `random`,
    /// as the thesis has it (section 1.6 of its tool: one id a run).
    pub fn alphanumeric(random: [u8; 20]) -> Self {
        const LETTERS: &[u8; 62] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        Self(random.map(|byte| LETTERS[usize::from(byte) % LETTERS.len()]))
    }

    /// The raw bytes.
    pub const fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }

    /// The `client` column of 2015: the first eight bytes when they are
    /// ASCII, without control characters; `None` when they are not ASCII or
    /// nothing is left.
    ///
    /// ```
    /// use btda::model::PeerId;
    /// assert_eq!(PeerId::new(*b"-TR3000-\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff").client().as_deref(), Some("-TR3000-"));
    /// assert_eq!(PeerId::new([0; 20]).client(), None);
    /// ```
    pub fn client(&self) -> Option<String> {
        let prefix = &self.0[..8];
        let text: String = prefix
            .iter()
            .filter(|byte| !byte.is_ascii_control())
            .map(|&byte| char::from(byte))
            .collect();
        (prefix.is_ascii() && !text.is_empty()).then_some(text)
    }
}

impl fmt::Debug for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PeerId({})", self.0.escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_keeps_ascii_and_drops_controls() {
        let id = |prefix: &[u8; 8]| {
            let mut bytes = [b'x'; 20];
            bytes[..8].copy_from_slice(prefix);
            PeerId::new(bytes).client()
        };
        assert_eq!(id(b"-UT3450-").as_deref(), Some("-UT3450-"));
        assert_eq!(id(b"M7-9-2\0\n").as_deref(), Some("M7-9-2"));
        assert_eq!(id(b"\xffUT3450-"), None);
        assert_eq!(id(&[0; 8]), None);
    }

    #[test]
    fn own_id_is_alphanumeric() {
        let id = PeerId::alphanumeric(
            *b"\0\x0d\x1a\x27\x34\x41\x4e\x5b\x68\x75\x82\x8f\x9c\xa9\xb6\xc3\xd0\xdd\xea\xf7",
        );
        assert!(id.as_bytes().iter().all(u8::is_ascii_alphanumeric));
    }
}
