//! Reports of `btda report` beside the results, opened from the page.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path as Place, State};
use axum::http::header::CONTENT_SECURITY_POLICY;
use axum::http::{HeaderValue, Response, StatusCode};
use axum::response::IntoResponse;

use super::answer::{Refused, page, typed};
use super::app::App;
use super::pages::StudiesPage;

/// How the folder of a report ends.
const ENDING: &str = "_report";

/// Page of a report.
const PAGE: &str = "report.html";

/// Largest file that is served, in bytes.
const FILE_MAX: u64 = 64 << 20;

/// Reports that are listed at most.
const LISTED_MAX: usize = 500;

/// A report has its style inside; it runs nothing and loads nothing.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

/// Where reports are looked for.
pub(super) struct Studies {
    folder: PathBuf,
}

impl Studies {
    /// Those in `folder`.
    pub(super) const fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Names of the reports, the newest first, as their names begin with the
    /// time of the run.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let mut names: Vec<String> = names
            .filter(|name| self.path(name, PAGE).is_some())
            .collect();
        names.sort_unstable_by(|one, other| other.cmp(one));
        names.truncate(LISTED_MAX);
        names
    }

    /// The file `name` of the report `folder`, if it is a regular file right
    /// there.
    fn path(&self, folder: &str, name: &str) -> Option<PathBuf> {
        if !folder.ends_with(ENDING) || !is_plain(folder) || !is_plain(name) {
            return None;
        }
        let within = self.folder.join(folder);
        let path = within.join(name);
        let is_folder = fs::symlink_metadata(within).is_ok_and(|it| it.is_dir());
        let is_file =
            fs::symlink_metadata(&path).is_ok_and(|it| it.is_file() && it.len() <= FILE_MAX);
        (is_folder && is_file).then_some(path)
    }

    fn read(&self, folder: &str, name: &str) -> io::Result<Vec<u8>> {
        let path = self.path(folder, name).ok_or(io::ErrorKind::NotFound)?;
        fs::read(path)
    }
}

/// One name, and no way to another folder.
fn is_plain(name: &str) -> bool {
    let mut parts = Path::new(name).components();
    let first = parts.next();
    matches!(first, Some(Component::Normal(part)) if part == name)
        && parts.next().is_none()
        && !name.starts_with('.')
}

fn kind_of(name: &str) -> Option<&'static str> {
    match name.rsplit_once('.')?.1 {
        "html" => Some("text/html; charset=utf-8"),
        "svg" => Some("image/svg+xml"),
        "csv" => Some("text/csv; charset=utf-8"),
        "json" => Some("application/json"),
        _ => None,
    }
}

/// `GET /studies`.
pub(super) async fn list(State(app): State<Arc<App>>) -> Response<Body> {
    let studies = Arc::clone(&app.studies);
    match app.jobs.run(move || studies.names()).await {
        Ok(names) => page(StatusCode::OK, &StudiesPage { names }),
        Err(refused) => refused.into_response(),
    }
}

/// `GET /studies/{folder}/{name}`.
pub(super) async fn file(
    State(app): State<Arc<App>>,
    Place((folder, name)): Place<(String, String)>,
) -> Response<Body> {
    let lost = || Refused::new(StatusCode::NOT_FOUND, "there is no such report").into_response();
    let Some(kind) = kind_of(&name) else {
        return lost();
    };
    let studies = Arc::clone(&app.studies);
    match app.jobs.run(move || studies.read(&folder, &name)).await {
        Ok(Ok(bytes)) => {
            let mut answer = typed(StatusCode::OK, kind, bytes);
            let policy = HeaderValue::from_static(POLICY);
            answer.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
            answer
        }
        Ok(Err(_)) => lost(),
        Err(refused) => refused.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_files_of_reports_is_found() {
        let root = tempfile::tempdir().unwrap();
        let output = root.path().join("output");
        for folder in ["a_report", "b_report", "other", "c_report"] {
            fs::create_dir_all(output.join(folder)).unwrap();
            fs::write(output.join(folder).join("report.html"), folder).unwrap();
        }
        fs::write(output.join("a_report/.hidden.csv"), "").unwrap();
        fs::write(root.path().join("secret.csv"), "").unwrap();
        fs::remove_file(output.join("c_report/report.html")).unwrap();
        std::os::unix::fs::symlink(
            root.path().join("secret.csv"),
            output.join("a_report/link.csv"),
        )
        .unwrap();
        std::os::unix::fs::symlink(output.join("other"), output.join("d_report")).unwrap();
        let studies = Studies::new(output);
        assert_eq!(studies.names(), ["b_report", "a_report"]);
        assert_eq!(
            studies.read("a_report", "report.html").unwrap(),
            b"a_report"
        );
        for (folder, name) in [
            ("other", "report.html"),
            ("a_report", "link.csv"),
            ("a_report", ".hidden.csv"),
            ("a_report", "../../secret.csv"),
            ("a_report", "../b_report/report.html"),
            ("..", "secret.csv"),
            ("a_report/../b_report", "report.html"),
            ("./a_report", "report.html"),
            ("/a_report", "report.html"),
            ("d_report", "report.html"),
            ("a_report", ""),
        ] {
            assert!(studies.read(folder, name).is_err(), "{folder} {name}");
        }
        assert_eq!(kind_of("a.sqlite"), None);
    }
}
