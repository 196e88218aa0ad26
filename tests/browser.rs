//! The browser of the tests sees what a page does wrong: a test that finds
//! nothing there has looked.

mod common;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use common::browser::Browser;

/// A page that does all that the report and the web page must not.
const BAD: &str = "<!doctype html><title>bad</title>
    <p id=said>before</p><button onclick=\"said.textContent = field.value\">say</button>
    <input id=field><div style='width:300px;height:40px'>box</div>
    <img src='http://tracker.example/pixel.png'><img src='http://192.0.2.1/pixel.png'>
    <script>console.error('it says so'); undefinedFunction()</script>";

#[test]
fn it_tells_what_a_page_loads_and_complains_of() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let page = folder.path().join("a page.html");
    fs::write(&page, BAD).expect("own folder");
    let mut browser = Browser::start(800, 600);
    browser.open_file(&page);

    let requests = browser.requests();
    assert_eq!(requests.len(), 3, "{requests:?}");
    assert!(requests[0].ends_with("/a%20page.html"), "{requests:?}");
    for wanted in [
        "http://tracker.example/pixel.png",
        "http://192.0.2.1/pixel.png",
    ] {
        assert!(requests.iter().any(|it| it == wanted), "{requests:?}");
    }
    let complaints = browser.complaints();
    for wanted in [
        "it says so",
        "undefinedFunction",
        "ERR_PROXY_CONNECTION_FAILED",
    ] {
        let told = complaints.iter().any(|it| it.contains(wanted));
        assert!(told, "{wanted}: {complaints:?}");
    }

    browser.element("#field").type_in("after");
    browser.element("button").click();
    assert_eq!(browser.element("#said").text(), "after");
    assert_eq!(browser.element("#field").property("value"), "after");
    let place = browser.element("div").place();
    assert_eq!((place.width, place.height), (300.0, 40.0));
    assert_eq!(browser.elements("img").len(), 2);
    assert_eq!(browser.script("return arguments[0] + 1", &[41.into()]), 42);

    let picture = folder.path().join("page.png");
    browser.screenshot(&picture);
    let bytes = fs::read(&picture).expect("just written");
    assert!(bytes.starts_with(b"\x89PNG") && bytes.ends_with(b"IEND\xaeB`\x82"));
    browser.forget();
    assert!(browser.requests().is_empty() && browser.complaints().is_empty());
}

#[test]
fn it_reaches_loopback() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let port = listener.local_addr().expect("bound").port();
    // Ends with the test: a browser may open connections that it never uses.
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let mut request = [0; 2048];
            if stream.read(&mut request).is_ok_and(|read| read > 0) {
                let body = "<title>here</title>";
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n", body.len());
                let _ = write!(stream, "{head}content-type: text/html\r\n\r\n{body}");
            }
        }
    });
    let browser = Browser::start(800, 600);
    browser.open(&format!("http://127.0.0.1:{port}/"));
    assert_eq!(browser.script("return document.title", &[]), "here");
}
