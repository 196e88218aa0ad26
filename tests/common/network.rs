//! A network of a test's own: programs that take no loopback address for a
//! peer's have others there, and nobody else is reached.

use std::fs;
use std::path::Path;

use super::process::program;

/// Ways to get one, as root and as a plain user who may make user namespaces;
/// the plain user stays who he is, since some programs refuse to be root.
const WAYS: [&[&str]; 2] = [&["-n"], &["-c", "-n", "--keep-caps"]];

/// Runs the ignored test `inside` of the same program in a network of its
/// own, and fails with it.
pub(crate) fn run_inside(inside: &str) {
    let this = std::env::current_exe().expect("a test is a program");
    let mut refusals = String::new();
    for way in WAYS {
        let mut probe = program("unshare", "util-linux", Path::new("/"));
        let probed = probe.args(way).arg("true").output();
        let probed = probed.expect("unshare runs");
        if !probed.status.success() {
            refusals.push_str(&String::from_utf8_lossy(&probed.stderr));
            continue;
        }
        let mut command = program("unshare", "util-linux", Path::new("/"));
        command.args(way).arg(&this);
        command.args(["--exact", inside, "--ignored", "--nocapture"]);
        let output = command.output().expect("unshare runs");
        let text = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        let passed = output.status.success() && text.contains("1 passed");
        assert!(passed, "{text}{errors}");
        eprintln!("{text}");
        return;
    }
    panic!(
        "this test needs a network of its own, for which it must be root or be allowed user \
         namespaces (kernel.unprivileged_userns_clone, user.max_user_namespaces): {refusals}"
    );
}

/// Takes the network that this process is in into use: loopback, and on it
/// all addresses of `prefix`. Fails the test when it is one that others use.
pub(crate) fn take_into_use(prefix: &str) {
    let routes = fs::read_to_string("/proc/net/route").unwrap_or_default();
    // At most the headline.
    let own = routes.lines().count() <= 1;
    assert!(own, "this network is of use: {routes}");
    for arguments in [
        &["link", "set", "lo", "up"][..],
        &["addr", "add", prefix, "dev", "lo"],
    ] {
        let mut ip = program("ip", "iproute2", Path::new("/"));
        let output = ip.args(arguments).output().expect("ip runs");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "ip {arguments:?}: {errors}");
    }
}
