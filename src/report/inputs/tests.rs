//! Files as they are, and as they should not be.

use std::fs;

use super::*;

fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file.txt");
    fs::write(&path, text).unwrap();
    (folder, path)
}

#[test]
fn peer_error_files() {
    let (_folder, path) = file("First contact,timed out,3\r\nFirst contact,timed out,4\r\n\r\n");
    let errors = peer_errors(&path).unwrap();
    let key = ("First contact".to_owned(), "timed out".to_owned());
    assert_eq!(errors, [(key, 7)].into());
    for (text, part) in [
        ("First contact,timed out", "line 1: 2 fields"),
        ("a,b,c", "line 1: the last field is no count"),
        ("a,b,1\na,b,-1", "line 2: the last field is no count"),
    ] {
        let (_folder, path) = file(text);
        let message = peer_errors(&path).unwrap_err().to_string();
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn tracker_error_files_add_up_with_an_offset() {
    let (_folder, path) =
        file("1,udp://a:1,announce fail,\"x, y\",5\n1,udp://a:1,scrape success,,2");
    let mut results = tracker_results(&path).unwrap();
    let again = results.clone();
    add_tracker_results(&mut results, again, 10);
    let counts: Vec<_> = results
        .iter()
        .map(|((torrent, _, result, _), count)| (*torrent, result.as_str(), *count))
        .collect();
    assert_eq!(
        counts,
        [
            (1, "announce fail", 5),
            (1, "scrape success", 2),
            (11, "announce fail", 5),
            (11, "scrape success", 2)
        ]
    );
    let (_folder, path) = file("x,udp://a:1,announce fail,,5");
    let message = tracker_results(&path).unwrap_err().to_string();
    assert!(message.contains("no torrent number"), "{message}");
}

#[test]
fn timeout_files() {
    let (_folder, path) = file("[0, 0, 6, 31]\n3 of 5 are below 6");
    let read = waits(&path).unwrap();
    assert_eq!(read.total(), 4);
    assert_eq!((read.at_most(5), read.at_most(6)), (2, 3));
    assert_eq!(read.within, Some((3, 5)));
    let (_folder, path) = file("[]\n0 of 0 are below 6");
    assert_eq!(waits(&path).unwrap().total(), 0);
    for text in ["", "1, 2", "[1, 2", "[1, x]"] {
        let (_folder, path) = file(text);
        assert!(waits(&path).is_err(), "{text}");
    }
}

#[test]
fn sets_files() {
    let (_folder, path) = file("torrent,set\n1,set_c\n12,small ones\n");
    let read = sets(&path).unwrap();
    assert_eq!(read[&12], "small ones");
    for text in [
        "",
        "set,torrent\n1,a",
        "torrent,set\nx,set_a",
        "torrent,set\n1,\n",
    ] {
        let (_folder, path) = file(text);
        assert!(sets(&path).is_err(), "{text}");
    }
}

#[test]
fn names_of_files_beside() {
    let path = Path::new("a/2015.08_x.sqlite");
    assert_eq!(
        beside(path, "_timeout.txt"),
        Path::new("a/2015.08_x_timeout.txt")
    );
    assert_eq!(
        beside_whole(path, ".csv"),
        Path::new("a/2015.08_x.sqlite.csv")
    );
}
