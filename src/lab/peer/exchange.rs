//! A peer that names others (BEP 11), written by hand as all of `lab::wire`.

use std::net::SocketAddr;

use super::super::bencode::{Found, Item};
use super::super::sockets::Quit;
use super::super::tracker::compact;
use super::super::wire;
use super::Encounter;

/// The number of `ut_pex` among the peers of the lab.
pub(super) const OWN_NUMBER: u8 = 1;

impl Encounter<'_> {
    /// The message that names whom the plan wants; nothing from a party that
    /// names nobody, and to an analyzer that does not want to know. Waits for
    /// the extended handshake of the analyzer, which tells its number.
    pub(super) fn exchange(&mut self) -> Result<Option<Vec<u8>>, Quit> {
        if self.party.names.is_empty() || !self.extended {
            return Ok(None);
        }
        let number = loop {
            let message = self.read_message()?;
            if let [20, 0, handshake @ ..] = message.as_slice() {
                self.their_metadata = number_of(handshake, b"ut_metadata").unwrap_or(0);
                break number_of(handshake, b"ut_pex");
            }
        };
        let named = self.party.names.iter();
        let named = named.filter_map(|index| self.story.address_of(*index));
        let named: Vec<SocketAddr> = named.collect();
        let wanted = number.filter(|number| *number > 0);
        Ok(wanted.map(|number| {
            self.story.exchange(self.contact.torrent, &named);
            message(number, &named)
        }))
    }
}

/// The number that an extended handshake gives an extension.
pub(super) fn number_of(handshake: &[u8], name: &[u8]) -> Option<u8> {
    let (handshake, _) = Found::read(handshake)?;
    let number = handshake.get(b"m")?.get(name)?.number()?;
    u8::try_from(number).ok()
}

/// `ut_pex` to a client that calls it `number`; without flags.
fn message(number: u8, named: &[SocketAddr]) -> Vec<u8> {
    let (added6, added): (Vec<&SocketAddr>, Vec<&SocketAddr>) =
        named.iter().partition(|it| it.is_ipv6());
    let bytes = |named: &[&SocketAddr]| named.iter().flat_map(|it| compact(**it)).collect();
    let flags = |named: &[&SocketAddr]| vec![0; named.len()];
    let item = Item::dict([
        ("added", Item::Bytes(bytes(&added))),
        ("added.f", Item::Bytes(flags(&added))),
        ("added6", Item::Bytes(bytes(&added6))),
        ("added6.f", Item::Bytes(flags(&added6))),
        ("dropped", Item::Bytes(Vec::new())),
    ]);
    let mut payload = vec![number];
    payload.extend(item.encode());
    wire::message(20, &payload)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_is_that_of_the_specification() {
        let named = [
            "127.0.0.1:258".parse().unwrap(),
            "[::1]:515".parse().unwrap(),
        ];
        let mut expected = b"\0\0\0\0\x14\x07d5:added6:\x7f\0\0\x01\x01\x02".to_vec();
        expected.extend(b"7:added.f1:\0");
        expected.extend(b"6:added618:\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x02\x03");
        expected.extend(b"8:added6.f1:\x007:dropped0:e");
        let length = u32::try_from(expected.len() - 4).unwrap();
        expected[..4].copy_from_slice(&length.to_be_bytes());
        assert_eq!(message(7, &named), expected);
    }

    #[test]
    fn the_number_is_where_bep_10_says() {
        let handshake = b"d1:md11:ut_metadatai2e6:ut_pexi9eee";
        assert_eq!(number_of(handshake, b"ut_pex"), Some(9));
        assert_eq!(number_of(handshake, b"ut_metadata"), Some(2));
        assert_eq!(number_of(b"d1:mdee", b"ut_pex"), None);
        assert_eq!(number_of(b"nonsense", b"ut_pex"), None);
    }
}
