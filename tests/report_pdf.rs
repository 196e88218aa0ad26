//! Figures of the report as PDF (feature `pdf`): one of each SVG, as large,
//! with its text as text.

#[path = "common/study.rs"]
mod study;

use std::fs;
use std::process::Command;

fn has(bytes: &[u8], part: &str) -> bool {
    bytes.windows(part.len()).any(|it| it == part.as_bytes())
}

#[test]
fn every_figure_is_a_pdf_too() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("made.sqlite");
    study::write(&database, 2_000).unwrap();
    let done = Command::new(env!("CARGO_BIN_EXE_btda"))
        .arg("report")
        .arg(&database)
        .output()
        .unwrap();
    assert!(done.status.success(), "{done:?}");
    let mut figures = 0;
    for file in fs::read_dir(folder.path().join("made_report")).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_none_or(|it| it != "svg") {
            continue;
        }
        figures += 1;
        let svg = fs::read_to_string(&path).unwrap();
        let pdf = fs::read(path.with_extension("pdf")).unwrap();
        assert!(pdf.starts_with(b"%PDF-1."), "{}", path.display());
        let size = |name: &str| {
            let (_, behind) = svg.split_once(&format!("{name}=\"")).unwrap();
            behind.split_once('"').unwrap().0.to_owned()
        };
        let page = format!("/MediaBox [0 0 {} {}]", size("width"), size("height"));
        assert!(has(&pdf, &page), "{}: {page}", path.display());
        // A font that is in the file, and what its glyphs mean.
        for part in ["/FontFile", "/ToUnicode", "DejaVuSans"] {
            assert!(has(&pdf, part), "{}: {part}", path.display());
        }
    }
    assert_eq!(figures, 19);
}
