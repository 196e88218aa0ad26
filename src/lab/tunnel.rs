//! The handshake of message stream encryption between a party and the
//! analyzer, on either side.
//!
//! The protocol is `protocol::mse`; see [`super::channel`] for what that
//! means. On the threads of the lab's pool.

use super::sockets::{Line, Quit};
use crate::model::{Encryption, InfoHash};
use crate::protocol::mse::{
    Chance, DIGEST_LEN, Initiator, Method, Methods, Responder, Torrents, torrent_hash,
};

/// The one torrent of a party.
struct Own(InfoHash);

impl Torrents for Own {
    fn by_torrent_hash(&self, hash: &[u8; DIGEST_LEN]) -> Option<InfoHash> {
        (torrent_hash(&self.0) == *hash).then_some(self.0)
    }
}

/// The method of a class; `None` where nothing is encrypted.
pub(super) const fn method_of(encryption: Encryption) -> Option<Method> {
    match encryption {
        Encryption::Plain => None,
        Encryption::Rc4 => Some(Method::Rc4),
        Encryption::MsePlain => Some(Method::Plaintext),
    }
}

/// Answers a handshake whose first bytes are on `line`, by `method`.
pub(super) fn answer(line: &mut Line<'_>, torrent: InfoHash, method: Method) -> Result<(), Quit> {
    let own = Own(torrent);
    let mut responder = Responder::new(method, &chance()?);
    let mut buffer = [0; 1024];
    loop {
        let count = line.read(&mut buffer)?;
        let input = buffer.get(..count).unwrap_or_default();
        let mut out = Vec::new();
        let used = responder.feed(input, &own, &mut out);
        let used = used.map_err(|_| Quit::Closed)?;
        line.write(&out)?;
        if let Some(sealed) = responder.sealed() {
            line.seal(sealed, input.get(used..).unwrap_or_default());
            return Ok(());
        }
    }
}

/// Begins a handshake that offers nothing but `method`.
pub(super) fn begin(line: &mut Line<'_>, torrent: InfoHash, method: Method) -> Result<(), Quit> {
    let mut out = Vec::new();
    let methods = Methods::only(method);
    let mut initiator = Initiator::new(torrent, methods, &[], &chance()?, &mut out);
    line.write(&out)?;
    let mut buffer = [0; 1024];
    loop {
        let count = line.read(&mut buffer)?;
        let input = buffer.get(..count).unwrap_or_default();
        let mut out = Vec::new();
        let used = initiator.feed(input, &mut out);
        let used = used.map_err(|_| Quit::Closed)?;
        line.write(&out)?;
        if let Some(sealed) = initiator.sealed() {
            line.seal(sealed, input.get(used..).unwrap_or_default());
            return Ok(());
        }
    }
}

/// Keys and padding are not part of the story: they change nothing of it.
fn chance() -> Result<Chance, Quit> {
    Chance::draw(getrandom::fill).map_err(|_| Quit::Stopped)
}
