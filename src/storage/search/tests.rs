//! The index on a real file.

use super::*;
use crate::model::FileKind;

fn document(number: u8, name: &str, paths: &str) -> Document {
    Document {
        info_hash: Some(InfoHash::new([number; 20])),
        name: name.to_owned(),
        paths: paths.to_owned(),
        files: 2,
        size: u64::from(number) * 100,
        at: Timestamp(i64::from(number) * 1000),
        kinds: if number.is_multiple_of(2) {
            FileKind::Video.bit()
        } else {
            FileKind::Audio.bit() | FileKind::Other.bit()
        },
        place: (number < 3).then(|| Place {
            country_iso: Some("DE".to_owned()),
            country: Some("Germany".to_owned()),
            city: Some("Erlangen".to_owned()),
            latitude: Some(49.5),
            longitude: Some(11.0),
            ..Place::default()
        }),
    }
}

fn index(folder: &Path) -> SearchIndex {
    let mut index = SearchIndex::open(&folder.join("search.sqlite")).unwrap();
    index
        .put(&[
            document(1, "Some.Linux_Distribution-24.04", "readme.txt"),
            document(2, "Another", "linux/kernel.tar"),
            document(3, "Café Ünïted", "x"),
            document(4, "linux linux linux", "linux"),
        ])
        .unwrap();
    index
}

fn query(words: &str) -> Query {
    Query {
        words: words.to_owned(),
        limit: LIMIT,
        ..Query::default()
    }
}

fn numbers(index: &SearchIndex, query: &Query) -> Vec<u8> {
    let found = index.search(query).unwrap();
    assert_eq!(found.matches, found.hits.len() as u64);
    let hits = found.hits.iter();
    hits.map(|hit| hit.info_hash.as_bytes()[0]).collect()
}

#[test]
fn names_weigh_more_than_paths() {
    let folder = tempfile::tempdir().unwrap();
    let index = index(folder.path());
    assert_eq!(numbers(&index, &query("LINUX")), [4, 1, 2]);
    let found = index.search(&query("linux")).unwrap();
    assert!((found.hits[0].score - 100.0).abs() < 1e-9);
    let scores: Vec<f64> = found.hits.iter().map(|hit| hit.score).collect();
    assert!(scores.is_sorted_by(|a, b| a >= b), "{scores:?}");
    assert!(scores[2] > 0.0);
    assert!(!found.more);
    assert_eq!(numbers(&index, &query("distribution 24")), [1]);
    assert_eq!(numbers(&index, &query("cafe united")), [3]);
    assert_eq!(numbers(&index, &query("linux -kernel -some")), [4]);
    assert_eq!(numbers(&index, &query("kern*")), [2]);
    assert_eq!(numbers(&index, &query("kern")), [0_u8; 0]);
    assert_eq!(numbers(&index, &query("\" OR 1")), [0_u8; 0]);
    assert_eq!(index.search(&query("-")).unwrap(), Found::default());
}

#[test]
fn filters_narrow_it() {
    let folder = tempfile::tempdir().unwrap();
    let index = index(folder.path());
    let with = |change: &dyn Fn(&mut Query)| {
        let mut query = query("linux");
        change(&mut query);
        numbers(&index, &query)
    };
    assert_eq!(with(&|q| q.country = Some("de".to_owned())), [1, 2]);
    assert_eq!(with(&|q| q.size_min = Some(200)), [4, 2]);
    assert_eq!(with(&|q| q.size_max = Some(200)), [1, 2]);
    assert_eq!(with(&|q| q.since = Some(Timestamp(2000))), [4, 2]);
    assert_eq!(with(&|q| q.until = Some(Timestamp(2000))), [1]);
    assert_eq!(with(&|q| q.kind = Some(FileKind::Audio)), [1]);
    assert_eq!(with(&|q| q.kind = Some(FileKind::Video)), [4, 2]);
    let mut one = query("linux");
    one.limit = 1;
    let found = index.search(&one).unwrap();
    assert_eq!((found.hits.len(), found.matches), (1, 3));
}

#[test]
fn a_later_page_goes_on_where_the_first_ended() {
    let folder = tempfile::tempdir().unwrap();
    let index = index(folder.path());
    let whole = index.search(&query("linux")).unwrap();
    let mut pages = Vec::new();
    for offset in 0..4 {
        let page = Query {
            limit: 1,
            offset,
            ..query("linux")
        };
        pages.push(index.search(&page).unwrap());
    }
    // Behind the last one nothing tells how many there are.
    assert_eq!(pages.pop(), Some(Found::default()));
    assert!(pages.iter().all(|page| page.matches == 3));
    let hits: Vec<Hit> = pages.into_iter().flat_map(|page| page.hits).collect();
    assert_eq!(hits, whole.hits, "scores are percent of the best of all");
}

#[test]
fn one_torrent_and_all_countries_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let index = index(folder.path());
    let hit = index.torrent(InfoHash::new([2; 20])).unwrap().unwrap();
    assert_eq!((hit.name.as_str(), hit.size), ("Another", 200));
    assert_eq!(hit.place.city.as_deref(), Some("Erlangen"));
    assert_eq!(index.torrent(InfoHash::new([9; 20])).unwrap(), None);
    let germany = ("Germany".to_owned(), 2);
    assert_eq!(index.countries().unwrap(), [germany]);
}

#[test]
fn a_torrent_is_there_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut index = index(folder.path());
    index.put(&[document(4, "Something else", "")]).unwrap();
    assert_eq!(index.len().unwrap(), 4);
    assert_eq!(numbers(&index, &query("linux")), [1, 2]);
    assert_eq!(numbers(&index, &query("else")), [4]);
    let one = InfoHash::new([1; 20]);
    assert!(index.has(one).unwrap());
    assert!(index.remove(one).unwrap());
    assert!(!index.remove(one).unwrap());
    assert_eq!(numbers(&index, &query("linux")), [2]);
    drop(index);
    let path = folder.path().join("search.sqlite");
    let index = SearchIndex::read(&path).unwrap();
    let hit = index.search(&query("kernel")).unwrap().hits.remove(0);
    assert_eq!(hit.place.country_iso.as_deref(), Some("DE"));
    assert_eq!((hit.files, hit.size, hit.at), (2, 200, Timestamp(2000)));
}

#[test]
fn another_file_is_no_index() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    assert!(SearchIndex::read(&path).is_err());
    drop(
        Connection::open(&path)
            .unwrap()
            .execute_batch("CREATE TABLE a (b)"),
    );
    assert!(matches!(
        SearchIndex::read(&path),
        Err(StorageError::OtherForm(_))
    ));
}

#[test]
fn long_paths_are_cut_at_a_character() {
    let folder = tempfile::tempdir().unwrap();
    let mut index = index(folder.path());
    let paths = format!("first x{}", "é ".repeat(PATHS_MAX));
    index.put(&[document(9, "long", &paths)]).unwrap();
    assert_eq!(numbers(&index, &query("first")), [9]);
}
