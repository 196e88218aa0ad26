//! The published data of 2015, where they are on this machine.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Files of the second machine.
const STEM: &str = "2015-08-30_20-41-36_faui1-246";

/// Folder of the data, or `None` with a line that says so.
pub(crate) fn folder() -> Option<PathBuf> {
    let named = std::env::var_os("BTDA_THESIS_DATA").map(PathBuf::from);
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/thesis-2015");
    let folder = named.unwrap_or_else(beside);
    if folder.join("expected.json").is_file() {
        return Some(folder);
    }
    eprintln!(
        "SKIPPED: the data of 2015 are not in {} (set BTDA_THESIS_DATA to their folder)",
        folder.display()
    );
    None
}

/// `name` from its `.xz` form, in the folder `to`.
pub(crate) fn unpacked(folder: &Path, name: &str, to: &Path) -> PathBuf {
    let path = to.join(name);
    let status = Command::new("xz")
        .args(["--decompress", "--stdout"])
        .arg(folder.join(format!("{name}.xz")))
        .stdin(Stdio::null())
        .stdout(File::create(&path).expect("own folder"))
        .status()
        .expect("xz is installed (Debian package xz-utils)");
    assert!(status.success(), "{name}: {status}");
    path
}

/// The database of the second machine with the statements that it had lost.
pub(crate) fn second_machine(folder: &Path, to: &Path) -> PathBuf {
    let database = unpacked(folder, &format!("{STEM}.sqlite"), to);
    let lost = unpacked(folder, &format!("{STEM}.log.sql"), to);
    let connection = rusqlite::Connection::open(&database).expect("a database");
    let sql = fs::read_to_string(lost).expect("just unpacked");
    connection
        .execute_batch(&format!("BEGIN; {sql}; COMMIT"))
        .expect("the statements fit");
    database
}

/// Unpacks the database of the second machine with its log and its error
/// files into `to`; `None` where the data are not.
pub(crate) fn second_machine_as_it_was(to: &Path) -> Option<PathBuf> {
    let folder = folder()?;
    let database = unpacked(&folder, &format!("{STEM}.sqlite"), to);
    unpacked(&folder, &format!("{STEM}.log"), to);
    for suffix in ["_peer-error.txt", "_tracker-error.txt"] {
        let name = format!("{STEM}{suffix}");
        fs::copy(folder.join(&name), to.join(&name)).expect("own folder");
    }
    Some(database)
}
