//! Trackers that a peer names (BEP 28, `lt_tex`).

use btda::protocol::tex::{URL_LEN_MAX, added};

use super::input::Input;
use super::torrent_file::naive_end;

/// The first byte is how many are taken, the rest the payload.
pub fn check(data: &[u8]) {
    let mut input = Input::new(data);
    let most = usize::from(input.byte());
    let payload = input.rest();
    let read = added(payload, most);
    assert_eq!(read, added(payload, most), "not the same twice");
    let Ok(urls) = read else {
        return;
    };
    assert!(urls.len() <= most);
    for url in &urls {
        assert!((1..=URL_LEN_MAX).contains(&url.len()));
        let named = payload
            .windows(url.len())
            .any(|part| part == url.as_bytes());
        assert!(named, "{url} is not in it");
    }
    let end = naive_end(payload, 0, 0).expect("ends for one reader only");
    let alone = added(&payload[..end], most);
    assert_eq!(alone.as_ref(), Ok(&urls), "reads behind its end");
    let fewer = added(payload, most / 2).expect("the same payload");
    assert_eq!(fewer[..], urls[..urls.len().min(most / 2)]);
}
