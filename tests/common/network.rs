//! A network of a test's own: programs that take no loopback address for a
//! peer's have others there, and nobody else is reached. Further networks can
//! be linked to it, one of them behind address translation.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::process::{Process, isolated, program, wait_until};

/// Longest time to make a network.
const LIMIT: Duration = Duration::from_secs(10);

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
/// each address with all of its range, from which it calls the others. Fails
/// the test when it is a network that others use.
pub(crate) fn take_into_use(ranges: &[(IpAddr, &str)]) {
    let routes = fs::read_to_string("/proc/net/route").unwrap_or_default();
    // At most the headline.
    let own = routes.lines().count() <= 1;
    assert!(own, "this network is of use: {routes}");
    ip(None, &["link", "set", "lo", "up"]);
    for (address, range) in ranges {
        let address = address.to_string();
        // The others as a route: libtorrent binds to the device that has the
        // address, and then does not hear who comes from another network.
        add_address(None, &address, "lo");
        let route = ["route", "add", "local", range, "dev", "lo"];
        ip(None, &[&route[..], &["src", &address]].concat());
    }
    switch_on(None, "ipv6/ip_nonlocal_bind");
}

/// Gives a device an address that is of use at once.
fn add_address(network: Option<&Network>, address: &str, device: &str) {
    let mut add = vec!["addr", "add", address, "dev", device];
    // Nobody else is there who might have it.
    add.extend(address.contains(':').then_some("nodad"));
    ip(network, &add);
}

/// Switches a setting of the kernel below `/proc/sys/net` on.
fn switch_on(network: Option<&Network>, setting: &str) {
    let mut command = program("sh", "dash", Path::new("/"));
    command.args(["-c", &format!("echo 1 >/proc/sys/net/{setting}")]);
    run(network, command);
}

/// Calls `ip` in `network`, or where the test is.
fn ip(network: Option<&Network>, arguments: &[&str]) {
    let mut command = program("ip", "iproute2", Path::new("/"));
    command.args(arguments);
    run(network, command);
}

/// Runs `command` to its end in `network`, or where the test is.
fn run(network: Option<&Network>, command: Command) {
    let mut command = match network {
        Some(network) => network.enter(&command),
        None => command,
    };
    let output = command.output();
    let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
}

/// A network beside that of the test, for programs that the test puts there.
/// It is gone when this is dropped and they have ended.
pub(crate) struct Network(Process);

/// One side of a link between two networks.
pub(crate) struct Side<'a> {
    /// Where it is; `None` is where the test is.
    pub(crate) network: Option<&'a Network>,
    /// What the device is called there.
    pub(crate) device: &'a str,
    /// Its addresses, with the lengths of their prefixes.
    pub(crate) addresses: &'a [&'a str],
}

impl Network {
    /// A new one, with nothing but loopback; `folder` is for its log.
    pub(crate) fn start(folder: &Path) -> Self {
        let mut command = program("unshare", "util-linux", folder);
        // `cat` ends with its standard input, and so with the test.
        command.args(["-n", "cat"]);
        let network = Self(Process::spawn("network", command, folder));
        let own = fs::read_link("/proc/self/ns/net").expect("the test is in a network");
        wait_until("there is a network", LIMIT, || {
            fs::read_link(network.file()).is_ok_and(|its| its != own)
        });
        ip(Some(&network), &["link", "set", "lo", "up"]);
        network
    }

    fn file(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/ns/net", self.0.id()))
    }

    /// The same command, to be run in this network. Of its environment it
    /// keeps what was set for it, and nothing else.
    pub(crate) fn enter(&self, command: &Command) -> Command {
        let nsenter = program("nsenter", "util-linux", Path::new("/"));
        let mut inside = isolated(Path::new(nsenter.get_program()), Path::new("/"));
        inside.arg(format!("--net={}", self.file().display()));
        inside.arg(command.get_program()).args(command.get_args());
        for (key, value) in command.get_envs() {
            if let Some(value) = value {
                inside.env(key, value);
            }
        }
        if let Some(folder) = command.get_current_dir() {
            inside.current_dir(folder);
        }
        inside
    }

    /// Everything else is reached by way of `gateway`.
    pub(crate) fn route_by(&self, gateway: &str) {
        let family = if gateway.contains(':') { "-6" } else { "-4" };
        let route = ["route", "add", "default", "via", gateway];
        ip(Some(self), &[&[family], &route[..]].concat());
    }

    /// Lets those behind it call out by the device `outside`, with the address
    /// that it has there; nobody can call them.
    pub(crate) fn translate(&self, outside: &str) {
        forward(Some(self));
        let rules = format!(
            "add table ip nat; \
             add chain ip nat out {{ type nat hook postrouting priority 100; }}; \
             add rule ip nat out oifname \"{outside}\" masquerade"
        );
        let mut command = program("nft", "nftables", Path::new("/"));
        command.arg(rules);
        run(Some(self), command);
    }
}

/// Lets what is linked to `network`, or to where the test is, reach each other
/// through it.
pub(crate) fn forward(network: Option<&Network>) {
    switch_on(network, "ipv4/ip_forward");
    switch_on(network, "ipv6/conf/all/forwarding");
}

/// Links two networks. `there` must not be where the test is.
pub(crate) fn link(here: &Side, there: &Side) {
    let far = there.network.expect("a network of its own");
    let id = far.0.id().to_string();
    let pair = ["link", "add", here.device, "type", "veth", "peer", "name"];
    let place = [there.device, "netns", &id];
    ip(here.network, &[&pair[..], &place].concat());
    for side in [here, there] {
        for address in side.addresses {
            add_address(side.network, address, side.device);
        }
        ip(side.network, &["link", "set", side.device, "up"]);
    }
}
