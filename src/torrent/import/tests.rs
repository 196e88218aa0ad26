//! Import of folders as people have them.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::model::PieceCount;
use crate::torrent::{NewTorrent, build};

fn torrent(name: &str) -> NewTorrent {
    NewTorrent {
        announce: Some(format!("http://{name}.example/announce")),
        name: name.to_owned(),
        piece_length: 16_384,
        pieces: vec![[7; 20]; 101],
        length: 101 * 16_384,
        ..NewTorrent::default()
    }
}

/// An input folder.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file, with the folders above it.
    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    fn add(&self, name: &str) -> PathBuf {
        self.write(name, &build(&torrent(name)))
    }

    fn import(&self, files: &[PathBuf]) -> Import {
        import_within_deadline(InputSettings {
            folder: self.0.path().to_owned(),
            files: files.to_vec(),
            magnet_file: PathBuf::new(),
            magnets: Vec::new(),
            metadata_number: 4,
        })
    }
}

/// Fails instead of waiting for ever when a file blocks.
fn import_within_deadline(settings: InputSettings) -> Import {
    let (done, result) = mpsc::channel();
    std::thread::spawn(move || done.send(import(&settings, 0.98, &[])));
    result.recv_timeout(Duration::from_secs(60)).unwrap()
}

fn names(import: &Import) -> Vec<&str> {
    import
        .torrents
        .iter()
        .map(|torrent| torrent.display_name.as_deref().unwrap())
        .collect()
}

/// The note of the only file that gave no torrent.
fn skipped(import: &Import) -> &str {
    let mut files = import.files.iter().filter(|file| file.torrent.is_none());
    let file = files.next().unwrap();
    assert!(files.next().is_none());
    file.note.as_deref().unwrap()
}

#[test]
fn all_depths_in_byte_order_with_dense_ids() {
    let folder = Folder::new();
    for name in [
        "b.torrent",
        "a/z/deep.torrent",
        "a.torrent",
        "a/B.TORRENT",
        "Z.Torrent",
    ] {
        folder.add(name);
    }
    folder.write("readme.txt", b"no torrent");
    folder.write("a/torrent", b"no torrent");
    let elsewhere = Folder::new();
    let single = elsewhere.write("any name", &build(&torrent("single")));
    let import = folder.import(std::slice::from_ref(&single));
    assert_eq!(
        names(&import),
        [
            "Z.Torrent",
            "a.torrent",
            "a/B.TORRENT",
            "a/z/deep.torrent",
            "b.torrent",
            "single"
        ]
    );
    let ids: Vec<u16> = import
        .torrents
        .iter()
        .map(|torrent| torrent.id.number())
        .collect();
    assert_eq!(ids, [1, 2, 3, 4, 5, 6]);
    assert_eq!(import.files.len(), 6);
    for (file, torrent) in import.files.iter().zip(&import.torrents) {
        assert_eq!(file.torrent, Some(torrent.id));
        assert_eq!(file.path, torrent.path);
        assert_eq!(
            file.sha1,
            Some(InfoHash::of(&fs::read(&file.path).unwrap()))
        );
        assert_eq!(file.note, None);
    }
}

#[test]
fn a_torrent_has_everything_a_run_needs() {
    let folder = Folder::new();
    let bytes = build(&NewTorrent {
        tiers: vec![vec!["udp://x.example:80".to_owned()]],
        private: true,
        ..torrent("one")
    });
    let path = folder.write("one.torrent", &bytes);
    let import = folder.import(&[]);
    let expected = Metainfo::parse(&bytes).unwrap();
    assert_eq!(
        import.torrents,
        [Torrent {
            id: TorrentId::from_index(0).unwrap(),
            info_hash: expected.info_hash,
            trackers: vec![
                "http://one.example/announce".to_owned(),
                "udp://x.example:80".to_owned()
            ],
            pieces: PieceCount(101),
            piece_length: 16_384,
            threshold: PieceCount(99),
            path,
            display_name: Some("one".to_owned()),
            private: true,
        }]
    );
}

#[test]
fn a_file_named_twice_is_read_once() {
    let folder = Folder::new();
    let path = folder.add("a.torrent");
    symlink(&path, folder.path("b.torrent")).unwrap();
    let other_way = folder.path("x/../a.torrent");
    fs::create_dir(folder.path("x")).unwrap();
    let import = folder.import(&[path.clone(), other_way, path]);
    assert_eq!((import.torrents.len(), import.files.len()), (1, 1));
}

#[test]
fn the_same_info_hash_merges() {
    let folder = Folder::new();
    let first = torrent("t");
    folder.write("1.torrent", &build(&first));
    let second = NewTorrent {
        announce: Some("udp://new.example:1".to_owned()),
        tiers: vec![vec![
            "http://t.example/announce".to_owned(),
            "https://other.example/".to_owned(),
        ]],
        ..first
    };
    folder.write("2.torrent", &build(&second));
    folder.add("3.torrent");
    let import = folder.import(&[]);
    assert_eq!(import.torrents.len(), 2);
    assert_eq!(
        import.torrents[0].trackers,
        [
            "http://t.example/announce",
            "udp://new.example:1",
            "https://other.example/"
        ]
    );
    let of: Vec<u16> = import
        .files
        .iter()
        .filter_map(|file| file.torrent.map(TorrentId::number))
        .collect();
    assert_eq!(of, [1, 1, 2]);
    let note = import.files[1].note.as_deref().unwrap();
    assert!(note.starts_with("same info hash as torrent 1 ("), "{note}");
    assert!(note.ends_with("merged, 2 trackers added"), "{note}");
}

#[test]
fn a_bad_file_is_skipped_and_the_rest_imported() {
    let v2 = b"d4:infod9:file treed1:xd0:d6:lengthi9eeee12:meta versioni2e12:piece lengthi16384eee";
    for (bytes, reason) in [
        (
            &b""[..],
            "skipped: not a torrent file: bencoding is cut off at byte 0",
        ),
        (
            &b"\x7fELF\0\0"[..],
            "skipped: not a torrent file: bencoding: unexpected byte 0x7f at byte 0",
        ),
        (v2, "skipped: a v2-only torrent (BEP 52)"),
    ] {
        let folder = Folder::new();
        folder.add("a.torrent");
        folder.write("b.torrent", bytes);
        folder.add("c.torrent");
        let import = folder.import(&[]);
        assert_eq!(names(&import), ["a.torrent", "c.torrent"]);
        assert!(skipped(&import).starts_with(reason), "{import:?}");
        assert_eq!(import.files[1].sha1, Some(InfoHash::of(bytes)));
    }
}

#[test]
fn oddities_are_noted() {
    let folder = Folder::new();
    let mut bytes = build(&NewTorrent {
        announce: Some("wss://t.example".to_owned()),
        ..torrent("a")
    });
    bytes.push(b'\n');
    folder.write("a.torrent", &bytes);
    let import = folder.import(&[]);
    assert!(import.torrents[0].trackers.is_empty());
    assert_eq!(
        import.files[0].note.as_deref(),
        Some(
            "announce URL \"wss://t.example\" left out: only http, https and udp trackers can \
             be asked; 1 bytes follow the torrent"
        )
    );
}

#[test]
fn a_huge_file_is_not_read() {
    let folder = Folder::new();
    folder.add("a.torrent");
    let huge = File::create(folder.path("b.torrent")).unwrap();
    huge.set_len(FILE_SIZE_MAX + 1).unwrap();
    let import = folder.import(&[]);
    assert_eq!(names(&import), ["a.torrent"]);
    assert_eq!(skipped(&import), "skipped: larger than 64 MiB");
    assert_eq!(import.files[1].sha1, None);
}

#[test]
fn what_is_no_regular_file_does_not_block() {
    let folder = Folder::new();
    folder.add("z.torrent");
    let fifo = folder.path("fifo.torrent");
    assert!(
        Command::new("mkfifo")
            .arg(&fifo)
            .status()
            .unwrap()
            .success()
    );
    let _socket = UnixListener::bind(folder.path("socket.torrent")).unwrap();
    symlink("/dev/zero", folder.path("device.torrent")).unwrap();
    fs::create_dir(folder.path("folder.torrent")).unwrap();
    let import = folder.import(&[fifo, folder.path("folder.torrent")]);
    assert_eq!(names(&import), ["z.torrent"]);
    let notes: Vec<_> = import
        .files
        .iter()
        .map(|file| file.note.as_deref())
        .collect();
    let no_file = Some("skipped: not a regular file");
    assert_eq!(notes, [no_file, no_file, no_file, None, no_file]);
}

#[test]
fn symbolic_links_are_followed_and_loops_survived() {
    let folder = Folder::new();
    let elsewhere = Folder::new();
    elsewhere.add("there.torrent");
    folder.add("sub/here.torrent");
    symlink(folder.0.path(), folder.path("sub/loop")).unwrap();
    symlink(folder.0.path(), folder.path("sub/loop.torrent")).unwrap();
    symlink("self", folder.path("self")).unwrap();
    symlink(elsewhere.0.path(), folder.path("link")).unwrap();
    symlink("nowhere", folder.path("zz.torrent")).unwrap();
    let import = folder.import(&[]);
    assert_eq!(names(&import), ["there.torrent", "sub/here.torrent"]);
    assert!(skipped(&import).starts_with("skipped: cannot be read: No such file"));
}

#[test]
fn an_unreadable_file_is_skipped() {
    let folder = Folder::new();
    folder.add("a.torrent");
    let closed = folder.add("b.torrent");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o0)).unwrap();
    // The superuser may read it all the same.
    let readable = File::open(&closed).is_ok();
    let missing = folder.path("missing");
    let import = folder.import(std::slice::from_ref(&missing));
    assert_eq!(import.torrents.len(), 1 + usize::from(readable));
    assert_eq!(import.files[1].torrent.is_some(), readable);
    assert_eq!(import.files[2].path, missing);
    let note = import.files[2].note.as_deref().unwrap();
    assert!(note.starts_with("skipped: cannot be read: "), "{note}");
}

#[test]
fn without_a_folder_the_single_files_count() {
    let folder = Folder::new();
    let file = folder.add("a.torrent");
    let settings = |files| InputSettings {
        folder: folder.path("missing"),
        files,
        magnet_file: PathBuf::new(),
        magnets: Vec::new(),
        metadata_number: 4,
    };
    let import = import_within_deadline(settings(vec![file]));
    assert_eq!(names(&import), ["a.torrent"]);
    let import = import_within_deadline(settings(vec![]));
    assert!(import.torrents.is_empty() && import.files.is_empty());
}

#[test]
fn paths_in_any_encoding() {
    use std::os::unix::ffi::OsStrExt;
    let folder = Folder::new();
    let name = std::ffi::OsStr::from_bytes(b"\xff\n.torrent");
    fs::write(folder.0.path().join(name), build(&torrent("a"))).unwrap();
    let import = folder.import(&[]);
    assert_eq!(names(&import), ["a"]);
    assert!(!quoted(&import.files[0].path).contains('\n'));
}
