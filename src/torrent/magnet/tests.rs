//! Links as they are found, broken ones, and lists.

use proptest::prelude::*;

use super::*;

const HEX: &str = "0123456789abcdef0123456789abcdef01234567";
const BASE32: &str = "AERUKZ4JVPG66AJDIVTYTK6N54ASGRLH";

fn parse(query: &str) -> Magnet {
    Magnet::parse(&format!("magnet:?{query}")).unwrap()
}

fn error(query: &str) -> MagnetError {
    Magnet::parse(&format!("magnet:?{query}")).unwrap_err()
}

#[test]
fn both_spellings_of_a_hash() {
    let expected: InfoHash = HEX.parse().unwrap();
    for text in [
        HEX,
        &HEX.to_uppercase(),
        BASE32,
        &BASE32.to_lowercase(),
        "%30123456789abcdef0123456789abcdef01234567",
    ] {
        assert_eq!(
            parse(&format!("xt=urn:btih:{text}")).info_hashes,
            [expected]
        );
        assert_eq!(
            parse(&format!("XT.1=URN:BTIH:{text}")).info_hashes,
            [expected]
        );
        assert_eq!(
            parse(&format!("xt=urn%3Abtih%3A{text}")).info_hashes,
            [expected]
        );
    }
    // RFC 4648's alphabet at its ends; digests by another program.
    let ends = parse(
        "xt=urn:btih:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA&xt=urn:btih:77777777777777777777777777777777",
    );
    assert_eq!(
        ends.info_hashes,
        [InfoHash::new([0; 20]), InfoHash::new([0xff; 20])]
    );
}

#[test]
fn several_topics_are_several_torrents() {
    let other = "f".repeat(40);
    let magnet = parse(&format!(
        "xt.1=urn:btih:{HEX}&xt.2=urn:btih:{other}&xt=urn:btih:{BASE32}&xt=urn:sha1:XYZ&xt=urn:btih:12"
    ));
    assert_eq!(magnet.info_hashes.len(), 2);
    assert_eq!(magnet.notes, ["info hash \"12\" left out: it is none"]);
    let many: Vec<String> = (0..HASHES_MAX + 7)
        .map(|number| format!("xt=urn:btih:{number:040x}&"))
        .collect();
    let magnet = parse(&many.concat());
    assert_eq!(magnet.info_hashes.len(), HASHES_MAX);
    assert!(
        magnet.notes[0].starts_with("7 info hashes"),
        "{:?}",
        magnet.notes
    );
}

#[test]
fn trackers_are_checked_as_in_torrent_files() {
    let magnet = parse(&format!(
        "xt=urn:btih:{HEX}&tr=udp%3A%2F%2Fa%3A1&tr.1=http://b/announce%3Fk%3D1&tr=udp://a:1&tr=wss://c&tr="
    ));
    assert_eq!(magnet.trackers, ["udp://a:1", "http://b/announce?k=1"]);
    assert!(magnet.notes[0].contains("only http, https and udp"));
}

#[test]
fn names_are_made_readable() {
    let name = |text: &str| parse(&format!("xt=urn:btih:{HEX}&{text}")).display_name;
    assert_eq!(name("dn=a+b%20c").as_deref(), Some("a b c"));
    assert_eq!(name("dn=%E6%BC%A2%00%0a%1b.").as_deref(), Some("漢."));
    assert_eq!(name("dn=%ff").as_deref(), Some("\u{fffd}"));
    assert_eq!(name("dn=%2").as_deref(), Some("%2"));
    assert_eq!(name("dn=%00&dn=later").as_deref(), Some("later"));
    assert_eq!(name("dn=first&dn=later").as_deref(), Some("first"));
    assert_eq!(name("dn"), None);
    let long = name(&format!("dn={}", "x".repeat(1000))).unwrap();
    assert_eq!(long.len(), crate::torrent::name::NAME_MAX);
}

#[test]
fn peers_are_kept_as_text() {
    let magnet = parse(&format!(
        "xt=urn:btih:{HEX}&x.pe=192.0.2.1:6881&x.pe=%5B2001:db8::1%5D:80&x.pe=peer.example:1&x.pe=peer.example:1\
         &x.pe=192.0.2.1&x.pe=192.0.2.1:0&x.pe=192.0.2.1:65536&x.pe=[peer]:1&x.pe=a%20b:1&x.pe=:1&x.pe=h:+1&x.pe.1=two:2"
    ));
    let peers: Vec<(&str, u16)> = magnet
        .peers
        .iter()
        .map(|peer| (peer.host.as_str(), peer.port))
        .collect();
    assert_eq!(
        peers,
        [
            ("192.0.2.1", 6881),
            ("2001:db8::1", 80),
            ("peer.example", 1),
            ("two", 2)
        ]
    );
    assert_eq!(magnet.notes, ["7 peers (x.pe) left out: not host:port"]);
    assert!(!format!("{magnet:?}").contains("192.0.2"));
}

#[test]
fn links_that_cannot_be_used_say_why() {
    for link in [
        "",
        "http://x",
        "magnet:",
        "magnet",
        "magnet:xt=urn:btih:0",
        "мagnet:?xt",
    ] {
        assert_eq!(Magnet::parse(link), Err(MagnetError::NotMagnet), "{link}");
    }
    assert_eq!(error(""), MagnetError::NoTopic);
    assert_eq!(error("dn=x&xt=urn:sha1:x"), MagnetError::NoTopic);
    let v2 =
        error("xt=urn:btmh:1220caf1e1c30e81cb361b9ee167c4aa64228a7fa4fa9f6105232b28ad099f3a302e");
    assert_eq!(v2, MagnetError::V2Only);
    assert!(v2.to_string().contains("urn:btih"));
    for text in [
        "",
        "12",
        &HEX[1..],
        &HEX.replace('a', "g"),
        "0189ABCDEFGHIJKLMNOPQRSTUVWXYZAB",
    ] {
        let error = error(&format!("xt=urn:btmh:1220&xt=urn:btih:{text}"));
        assert!(matches!(error, MagnetError::BadHash { .. }), "{text}");
    }
    let long = format!("xt=urn:btih:{HEX}&dn={}", "x".repeat(LINK_LEN_MAX));
    assert_eq!(error(&long), MagnetError::TooLong);
    let hybrid = parse(&format!("xt=urn:btmh:1220&xt=urn:btih:{HEX}#x"));
    assert_eq!(hybrid.notes, ["hybrid link: only its v1 swarm is measured"]);
}

#[test]
fn lists_skip_what_is_no_link() {
    let text = format!(
        "\u{feff}# comment\r\n\r\n  magnet:?xt=urn:btih:{HEX}&tr=x\r\nrubbish \u{1b}\n   # more\n\
         magnet:?xt=urn:btmh:1\nmagnet:?xt=urn:btih:{BASE32}"
    );
    let list = parse_list(text.as_bytes());
    let lines: Vec<usize> = list.links.iter().map(|link| link.line).collect();
    assert_eq!((lines.as_slice(), list.skipped), (&[3, 7][..], 2));
    assert_eq!(list.notes.len(), 3);
    assert!(list.notes[0].starts_with("line 3: announce URL"));
    assert!(list.notes[1].starts_with("line 4 skipped: not a magnet link"));
    assert!(list.notes[2].starts_with("line 6 skipped: a v2-only"));
    let long = [&b"magnet:?dn="[..], &vec![0xff; 1 << 20], b"\nx"].concat();
    let list = parse_list(&long);
    assert!(list.notes[0].contains("longer than") && list.skipped == 2);
    assert_eq!(parse_list(b""), MagnetList::default());
}

#[test]
fn lists_are_read_with_limits() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("magnet.txt");
    assert!(read_list(&path).is_err());
    assert!(read_list(folder.path()).is_err());
    std::fs::write(&path, format!("magnet:?xt=urn:btih:{HEX}\n")).unwrap();
    let (bytes, list) = read_list(&path).unwrap();
    assert_eq!((bytes.len(), list.links.len()), (61, 1));
    let file = std::fs::File::create(&path).unwrap();
    file.set_len(LIST_SIZE_MAX + 1).unwrap();
    let error = read_list(&path).unwrap_err();
    assert_eq!(error.to_string(), "larger than 16 MiB");
}

/// Base32 as in RFC 4648, bit by bit.
fn base32_of(bytes: &[u8]) -> String {
    let bits: Vec<u8> = bytes
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1))
        .collect();
    bits.chunks(5)
        .map(|five| five.iter().fold(0, |value, bit| value << 1 | bit))
        .map(|value| char::from(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[usize::from(value)]))
        .collect()
}

proptest! {
    #[test]
    fn both_spellings_agree(bytes: [u8; 20]) {
        let hash = InfoHash::new(bytes);
        let hex = parse(&format!("xt=urn:btih:{hash}"));
        let base32 = parse(&format!("xt=urn:btih:{}", base32_of(&bytes)));
        prop_assert_eq!(&hex.info_hashes, &[hash]);
        prop_assert_eq!(hex, base32);
    }

    #[test]
    fn any_text_is_safe(text in "\\PC{0,200}", tail in "(magnet:\\?)?((xt|dn|tr|x\\.pe|xt\\.1)=[ -~]{0,60}&){0,8}") {
        let _ = Magnet::parse(&text);
        if let Ok(magnet) = Magnet::parse(&tail) {
            prop_assert!(!magnet.info_hashes.is_empty());
            prop_assert!(magnet.notes.iter().all(|note| !note.contains(char::is_control)));
        }
    }

    #[test]
    fn any_list_is_safe(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let list = parse_list(&bytes);
        prop_assert!(list.links.len() + list.skipped <= bytes.len() + 1);
    }
}

#[test]
fn a_file_of_another_kind_is_not_told_line_by_line() {
    let list = parse_list("no link\n".repeat(NOTES_MAX + 500).as_bytes());
    assert_eq!(
        (list.notes.len(), list.skipped),
        (NOTES_MAX, NOTES_MAX + 500)
    );
}
