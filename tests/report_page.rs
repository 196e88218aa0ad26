//! The report's page in a real browser: it loads nothing, complains of
//! nothing, and every figure can be seen and read; on a made study and, where
//! they are, on the data of 2015.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on stops with a panic"
)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::browser::Browser;
use common::{study, thesis};
use rusqlite::Connection;
use serde_json::Value;

/// Windows in which the page is looked at: a desk's and a telephone's.
const WIDTHS: [u32; 2] = [1280, 420];

/// What is wrong with the figures, as sentences: one is not seen, goes over
/// the edge, or has no marks; text lies over text or outside its figure. Of
/// the height of a text only the letters count, not the room between lines.
const FAULTS: &str = "
    const faults = [];
    for (const svg of document.querySelectorAll('figure svg')) {
        const name = svg.closest('section').id;
        const box = svg.getBoundingClientRect();
        if (box.width < 300 || box.height < 100) faults.push(name + ' is too small');
        if (box.left < 0 || box.right > innerWidth + 0.5) faults.push(name + ' goes over the edge');
        if (!svg.checkVisibility({opacityProperty: true, visibilityProperty: true}))
            faults.push(name + ' is hidden');
        if (svg.querySelectorAll('polyline, polygon, rect, path, circle, line').length < 6)
            faults.push(name + ' has no marks');
        const texts = [...svg.querySelectorAll('text')].map(text => {
            const it = text.getBoundingClientRect(), upright = it.height > it.width * 2;
            const [x, y] = upright ? [it.width * 0.25, 0] : [0, it.height * 0.25];
            return {said: text.textContent.trim(), left: it.left + x, right: it.right - x,
                    top: it.top + y, bottom: it.bottom - y};
        }).filter(it => it.said !== '');
        if (texts.length < 3) faults.push(name + ' has no labels');
        for (const [place, one] of texts.entries()) {
            if (one.left < box.left - 1 || one.right > box.right + 1
                || one.top < box.top - 1 || one.bottom > box.bottom + 1)
                faults.push(name + ': text outside: ' + one.said);
            for (const other of texts.slice(place + 1))
                if (one.left < other.right && other.left < one.right
                    && one.top < other.bottom && other.top < one.bottom)
                    faults.push(name + ': ' + one.said + ' lies over ' + other.said);
        }
    }
    if (document.documentElement.scrollWidth > innerWidth) faults.push('the page is too wide');
    return faults";

/// Spoils a figure.
const SPOILT: &str = "
    const svg = document.querySelector('figure svg');
    svg.append(svg.querySelector('text').cloneNode(true));
    svg.style.maxWidth = 'none';
    svg.style.width = '5000px';
    svg.closest('figure').style.overflow = 'visible'";

/// Makes the report; its page, and how many figures it must have.
fn reported(folder: &Path, arguments: &[&str]) -> (PathBuf, usize) {
    let output = folder.join("report");
    let done = Command::new(env!("CARGO_BIN_EXE_btda"))
        .arg("report")
        .args(arguments)
        .arg("--output")
        .arg(&output)
        .output()
        .unwrap();
    assert!(done.status.success(), "{done:?}");
    let told: Value =
        serde_json::from_slice(&fs::read(output.join("report.json")).unwrap()).unwrap();
    let items = told["items"].as_array().unwrap().iter();
    let figures = items
        .map(|it| it["figures"].as_array().unwrap().len())
        .sum();
    (output.join("report.html"), figures)
}

fn assert_page_is_good(page: &Path, figures: usize) {
    let mut browser = Browser::start(WIDTHS[0], 900);
    for width in WIDTHS {
        browser.resize(width, 900);
        browser.open_file(page);
        assert_eq!(browser.elements("figure svg").len(), figures);
        let faults = browser.script(FAULTS, &[]);
        assert_eq!(faults, serde_json::json!([]), "{width} pixels: {faults:#}");
        if let Some(folder) = std::env::var_os("BTDA_SCREENSHOTS") {
            let name = format!("report_{figures}_{width}.png");
            browser.screenshot(&Path::new(&folder).join(name));
        }
    }
    // And it would have told: text over text, and a figure that is too wide.
    browser.script(SPOILT, &[]);
    let faults = browser.script(FAULTS, &[]).to_string();
    for wanted in [" lies over ", "goes over the edge", "is too wide"] {
        assert!(faults.contains(wanted), "{faults}");
    }
    browser.reload();
    // Tables are shown when they are opened.
    let table = browser.element("#confirmed details");
    assert!(!browser.element("#confirmed table").is_shown());
    table.click();
    assert!(browser.element("#confirmed table").is_shown());
    let own = browser.url();
    let requests = browser.requests();
    assert!(requests.len() >= WIDTHS.len(), "{requests:?}");
    assert!(requests.iter().all(|it| *it == own), "{requests:?}");
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn the_page_of_a_made_study() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("made.sqlite");
    study::write(&database, 6_000).unwrap();
    // Whoever names a torrent, a host or a client would like to be a script.
    let evil = "'<img src=http://x.example/><script>alert(1)</script>'";
    let names = format!(
        "UPDATE torrent SET display_name = {evil} WHERE id = 1;
         UPDATE host SET host = {evil} WHERE peer % 30 = 0;
         UPDATE peer SET client = '-<b>000-' WHERE id % 50 = 0;"
    );
    Connection::open(&database)
        .unwrap()
        .execute_batch(&names)
        .unwrap();
    let (page, figures) = reported(folder.path(), &[database.to_str().unwrap()]);
    assert_eq!(figures, 19, "every figure that there is");
    assert_page_is_good(&page, figures);
}

#[test]
fn the_page_of_2015() {
    let Some(data) = thesis::folder() else { return };
    let folder = tempfile::tempdir().unwrap();
    let database = thesis::second_machine(&data, folder.path());
    let stem = "2015-08-30_20-combined";
    let [sets, peers, trackers] =
        [".sqlite.csv", "_peer-error.txt", "_tracker-error.txt"].map(|end| {
            data.join(format!("{stem}{end}"))
                .to_str()
                .unwrap()
                .to_owned()
        });
    let waits = thesis::unpacked(
        &data,
        "2015-08-14_17-46-44_faui1-246_timeout.txt",
        folder.path(),
    );
    let (page, figures) = reported(
        folder.path(),
        &[
            database.to_str().unwrap(),
            "--first-torrent",
            "11",
            "--sets",
            &sets,
            "--peer-errors",
            &peers,
            "--tracker-errors",
            &trackers,
            "--timeouts",
            waits.to_str().unwrap(),
        ],
    );
    // All but the host names, which that run did not look up.
    assert_eq!(figures, 18);
    assert_page_is_good(&page, figures);
}
