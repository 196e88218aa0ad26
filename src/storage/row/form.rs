//! How types of the model stand in a spool file; they know nothing of it
//! themselves. Pure.

use serde::{Deserialize, Serialize};

use crate::model::Source;
use crate::model::record::MessageCounts;

/// The words of the `source` columns.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Source", rename_all = "lowercase")]
pub(super) enum SourceForm {
    Tracker,
    Dht,
    Incoming,
}

/// One field for each column of `visit`.
#[derive(Serialize, Deserialize)]
#[serde(remote = "MessageCounts")]
pub(super) struct MessageCountsForm {
    total: u32,
    bitfield: u32,
    have: u32,
    have_all: u32,
    have_none: u32,
    keep_alive: u32,
    state: u32,
    extended: u32,
    port: u32,
    transfer: u32,
    piece: u32,
    unknown: u32,
}

/// The number of the torrent, from 1.
pub(super) mod torrent_id {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::model::TorrentId;

    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde fixes the signature"
    )]
    pub(in super::super) fn serialize<S: Serializer>(
        id: &TorrentId,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.serialize_u16(id.number())
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<TorrentId, D::Error> {
        let number = u16::deserialize(from)?;
        number
            .checked_sub(1)
            .and_then(|index| TorrentId::from_index(index.into()))
            .ok_or_else(|| D::Error::custom("torrents are numbered from 1"))
    }
}
