//! Writes torrent files (BEP 3, 12, 27) for the practice swarm and for tests.

use bendy::encoding::{AsString, Error, SingleItemEncoder, ToBencode};

/// What goes into a torrent file with a single file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewTorrent {
    /// `announce`, left out when `None`.
    pub announce: Option<String>,
    /// `announce-list` (BEP 12), left out when empty.
    pub tiers: Vec<Vec<String>>,
    /// `name`.
    pub name: String,
    /// `piece length` in bytes.
    pub piece_length: u64,
    /// SHA-1 of each piece.
    pub pieces: Vec<[u8; 20]>,
    /// `length` in bytes.
    pub length: u64,
    /// `private` = 1 (BEP 27), left out when false.
    pub private: bool,
}

/// The bytes of the torrent file, in canonical bencoding: the same values
/// give the same bytes and so the same info hash.
pub fn build(info: &NewTorrent) -> Vec<u8> {
    // Fails on unsorted keys and on depth only, and both are fixed below.
    info.to_bencode().unwrap_or_default()
}

impl ToBencode for NewTorrent {
    const MAX_DEPTH: usize = 3;

    fn encode(&self, encoder: SingleItemEncoder) -> Result<(), Error> {
        encoder.emit_dict(|mut file| {
            if let Some(announce) = &self.announce {
                file.emit_pair(b"announce", announce)?;
            }
            if !self.tiers.is_empty() {
                file.emit_pair(b"announce-list", &self.tiers)?;
            }
            file.emit_pair_with(b"info", |info| self.encode_info(info))
        })
    }
}

impl NewTorrent {
    fn encode_info(&self, encoder: SingleItemEncoder) -> Result<(), Error> {
        encoder.emit_dict(|mut info| {
            info.emit_pair(b"length", self.length)?;
            info.emit_pair(b"name", &self.name)?;
            info.emit_pair(b"piece length", self.piece_length)?;
            info.emit_pair(b"pieces", AsString(self.pieces.as_flattened()))?;
            if self.private {
                info.emit_pair(b"private", 1)?;
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::InfoHash;
    use crate::torrent::metainfo::Metainfo;
    use bendy::decoding::{Decoder, Object};
    use proptest::prelude::*;

    #[test]
    fn writes_canonical_bencoding() {
        let torrent = NewTorrent {
            announce: Some("udp://t.example:1/".to_owned()),
            tiers: vec![vec!["http://a.example/".to_owned()], vec![]],
            name: "x y".to_owned(),
            piece_length: 16_384,
            pieces: vec![[b'#'; 20], [b'+'; 20]],
            length: 20_000,
            private: true,
        };
        let expected = "d8:announce18:udp://t.example:1/13:announce-listll17:http://a.example/elee\
            4:infod6:lengthi20000e4:name3:x y12:piece lengthi16384e6:pieces40:\
            ####################++++++++++++++++++++7:privatei1eee";
        assert_eq!(String::from_utf8(build(&torrent)).unwrap(), expected);
        let bare = build(&NewTorrent::default());
        assert_eq!(
            bare,
            b"d4:infod6:lengthi0e4:name0:12:piece lengthi0e6:pieces0:ee"
        );
    }

    /// The info dictionary as another implementation finds it.
    fn info_by_bendy(file: &[u8]) -> Vec<u8> {
        let mut decoder = Decoder::new(file).with_max_depth(16);
        let Some(Object::Dict(mut dict)) = decoder.next_object().unwrap() else {
            panic!("no dictionary");
        };
        while let Some((key, value)) = dict.next_pair().unwrap() {
            if let (b"info", Object::Dict(info)) = (key, value) {
                return info.into_raw().unwrap().to_vec();
            }
        }
        panic!("no info");
    }

    fn torrents() -> impl Strategy<Value = NewTorrent> {
        let url = "(http|https|udp)://[a-z]{1,10}\\.example(:[1-9][0-9]{0,3})?/[a-z,?=]{0,10}";
        (
            prop::option::of(url),
            prop::collection::vec(prop::collection::vec(url, 0..4), 0..4),
            "[a-zé漢 ]{0,20}",
            1_u64..100_000,
            prop::collection::vec(any::<[u8; 20]>(), 1..40),
            any::<bool>(),
        )
            .prop_map(|(announce, tiers, name, piece_length, pieces, private)| {
                NewTorrent {
                    announce,
                    tiers,
                    name,
                    piece_length,
                    length: piece_length * pieces.len() as u64,
                    pieces,
                    private,
                }
            })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(torrent in torrents()) {
            let file = build(&torrent);
            let metainfo = Metainfo::parse(&file).unwrap();
            prop_assert_eq!(metainfo.info_hash, InfoHash::of(&info_by_bendy(&file)));
            let mut urls: Vec<String> = Vec::new();
            for url in torrent.announce.iter().chain(torrent.tiers.iter().flatten()) {
                if !urls.contains(url) {
                    urls.push(url.clone());
                }
            }
            prop_assert_eq!(metainfo.trackers, urls);
            prop_assert_eq!(metainfo.pieces.0 as usize, torrent.pieces.len());
            prop_assert_eq!(metainfo.piece_length, torrent.piece_length);
            prop_assert_eq!(metainfo.total_length, Some(torrent.length));
            let name = torrent.name.trim();
            prop_assert_eq!(metainfo.display_name.unwrap_or_default(), name);
            prop_assert_eq!(metainfo.private, torrent.private);
            prop_assert_eq!(metainfo.notes, Vec::<String>::new());
        }

        #[test]
        fn broken_files_never_panic(torrent in torrents(), at: prop::sample::Index, byte: u8, cut: prop::sample::Index) {
            let mut file = build(&torrent);
            let at = at.index(file.len());
            file[at] = byte;
            let _ = Metainfo::parse(&file);
            file.truncate(cut.index(file.len()));
            prop_assert!(Metainfo::parse(&file).is_err());
        }
    }
}
