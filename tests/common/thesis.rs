//! The published data of 2015, where they are beside the checkout
//! (`../shared/thesis-2015`); nothing of them is in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const STEM: &str = "2015-08-30_20-41-36_faui1-246";

/// Unpacks the database of the second machine with its log and its error
/// files into `folder`; `None` where the data are not.
pub(crate) fn second_machine(folder: &Path) -> Option<PathBuf> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/thesis-2015");
    if !data.exists() {
        return None;
    }
    for suffix in [".sqlite", ".log"] {
        let unpacked = Command::new("xz")
            .arg("-dc")
            .arg(data.join(format!("{STEM}{suffix}.xz")))
            .output()
            .expect("the program is in the Debian package xz-utils");
        assert!(unpacked.status.success(), "{unpacked:?}");
        let path = folder.join(format!("{STEM}{suffix}"));
        fs::write(path, unpacked.stdout).expect("own folder");
    }
    for suffix in ["_peer-error.txt", "_tracker-error.txt"] {
        let name = format!("{STEM}{suffix}");
        fs::copy(data.join(&name), folder.join(&name)).expect("own folder");
    }
    Some(folder.join(format!("{STEM}.sqlite")))
}
