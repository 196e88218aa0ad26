//! A disk of two megabytes, for tests of what happens when it is full.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A small disk of its own, unmounted in the end.
pub(crate) struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None` where mounting is not permitted.
    pub(crate) fn mount(at: &Path) -> Option<Self> {
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"]);
        let output = command.arg(at).output().expect("mount is installed");
        output.status.success().then(|| Self(at.to_owned()))
    }

    /// Takes all the room there is.
    pub(crate) fn fill(&self) {
        let mut ballast = File::create(self.0.join("ballast")).expect("file can be made");
        for size in [65_536, 4096, 1] {
            while ballast.write_all(&vec![0; size]).is_ok() {}
        }
    }

    /// Gives the room back.
    pub(crate) fn empty(&self) {
        fs::remove_file(self.0.join("ballast")).expect("it is there");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let status = Command::new("umount").arg("-l").arg(&self.0).status();
        assert!(status.is_ok_and(|status| status.success()), "not unmounted");
    }
}

/// Whether this process may do everything.
pub(crate) fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output().expect("id runs");
    output.stdout.starts_with(b"0\n")
}
