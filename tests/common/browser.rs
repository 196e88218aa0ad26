//! Headless Chromium, driven over `WebDriver`: pages as their readers have them.
//!
//! Nothing but loopback and files can be reached: names do not resolve, and
//! all else goes to a proxy that nobody runs. What a page wanted to load, and
//! what it complained of, is told by [`Browser::requests`] and
//! [`Browser::complaints`].

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;
use ureq::Agent;

use super::process::{Process, program, start_with_retries, wait_until, wait_until_ready};

/// A busy machine takes seconds for a page of many figures.
const PATIENCE: Duration = Duration::from_secs(60);

/// Key under which `WebDriver` names an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// What chromedriver says before the port on which it listens.
const LISTENS: &str = "started successfully on port ";

/// A browser with one window and a profile of its own. Dropping it ends the
/// browser and its driver, by their ids.
pub(crate) struct Browser {
    agent: Agent,
    /// URL of the session.
    session: String,
    /// The browser's process.
    id: Option<Pid>,
    profile: PathBuf,
    requests: Vec<String>,
    complaints: Vec<String>,
    // In this order: the driver ends before its folder goes.
    _driver: Process,
    _folder: TempDir,
}

/// A part of the page; of no use when the page has been left.
pub(crate) struct Element<'a> {
    browser: &'a Browser,
    id: String,
}

/// Place of an element in CSS pixels, from the page's upper left corner.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Place {
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) width: f64,
    pub(crate) height: f64,
}

impl Browser {
    /// Starts it with a window of that size in CSS pixels, at an empty page.
    pub(crate) fn start(width: u32, height: u32) -> Self {
        start_with_retries("chromium", || Self::attempt(width, height))
    }

    fn attempt(width: u32, height: u32) -> Result<Self, String> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        // Fails by name of the package where it is missing.
        let chromium = program("chromium", "chromium", folder.path());
        let mut command = program("chromedriver", "chromium-driver", folder.path());
        // It chooses a free port itself.
        command.arg("--port=0");
        let mut driver = Process::spawn("chromedriver", command, folder.path());
        let log = driver.log().to_owned();
        wait_until_ready(&mut driver, PATIENCE, || port_in(&log).is_some())?;
        let port = port_in(&log).ok_or("no port in its log")?;
        let profile = folder.path().join("profile");
        let agent: Agent = Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .proxy(None)
            .http_status_as_error(false)
            .build()
            .into();
        let wanted = capabilities(Path::new(chromium.get_program()), &profile, width, height);
        let driver_url = format!("http://127.0.0.1:{port}/session");
        let answer = called(&agent, &driver_url, Some(&wanted));
        let told = answer.inspect_err(|_| end(None, &profile))?;
        let name = told["sessionId"].as_str().ok_or("no session id")?;
        let id = told["capabilities"]["goog:processID"].as_i64();
        let id = id.and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let mut browser = Self {
            agent,
            session: format!("{driver_url}/{name}"),
            id,
            profile,
            requests: Vec::new(),
            complaints: Vec::new(),
            _driver: driver,
            _folder: folder,
        };
        // Debian's start page is not the test's.
        browser.open("about:blank");
        browser.forget();
        Ok(browser)
    }

    /// Goes to the URL and waits until the page is loaded.
    pub(crate) fn open(&self, url: &str) {
        self.post("url", &json!({ "url": url }));
    }

    /// The same with a file.
    pub(crate) fn open_file(&self, path: &Path) {
        let path = path.canonicalize().expect("the file is there");
        let url = url::Url::from_file_path(path).expect("an absolute path");
        self.open(url.as_str());
    }

    /// Loads the page again.
    pub(crate) fn reload(&self) {
        self.post("refresh", &json!({}));
    }

    /// URL of the page.
    pub(crate) fn url(&self) -> String {
        text(&self.ask("url"))
    }

    /// What a function with this body returns; `arguments[0]` and so on are
    /// the `arguments`. Fails the test when it throws.
    pub(crate) fn script(&self, body: &str, arguments: &[Value]) -> Value {
        let call = json!({ "script": body, "args": arguments });
        self.post("execute/sync", &call)
    }

    /// Waits until the function with this body returns something true.
    pub(crate) fn wait_for(&self, what: &str, body: &str) {
        wait_until(what, PATIENCE, || {
            let met = self.script(&format!("return !!(() => {{ {body} }})()"), &[]);
            met == Value::Bool(true)
        });
    }

    /// The first element that the CSS selector names; fails the test when
    /// there is none.
    pub(crate) fn element(&self, selector: &str) -> Element<'_> {
        let found = self.post("element", &by_css(selector));
        self.found(&found)
    }

    /// Clicks on the link or the button that the CSS selector names and waits
    /// until the page that it leads to is loaded: the click itself is over before
    /// a busy machine has begun to go there.
    pub(crate) fn follow(&self, selector: &str) {
        self.script("window.left = false", &[]);
        self.element(selector).click();
        let arrived = json!({
            "script": "return window.left === undefined && document.readyState === 'complete'",
            "args": [],
        });
        let url = format!("{}/execute/sync", self.session);
        wait_until("another page", PATIENCE, || {
            // Between two pages there is none to ask.
            called(&self.agent, &url, Some(&arrived)).is_ok_and(|it| it == Value::Bool(true))
        });
    }

    /// All elements that it names.
    pub(crate) fn elements(&self, selector: &str) -> Vec<Element<'_>> {
        let found = self.post("elements", &by_css(selector));
        let found = found.as_array().expect("a list of elements");
        found.iter().map(|it| self.found(it)).collect()
    }

    fn found(&self, element: &Value) -> Element<'_> {
        let id = text(&element[ELEMENT]);
        Element { browser: self, id }
    }

    /// Makes the window's content that large, in CSS pixels.
    pub(crate) fn resize(&self, width: u32, height: u32) {
        let metrics = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false,
        });
        self.devtools("Emulation.setDeviceMetricsOverride", &metrics);
    }

    /// PNG of the whole page, also of what is below the window.
    pub(crate) fn screenshot(&self, path: &Path) {
        let wanted = json!({ "format": "png", "captureBeyondViewport": true });
        let told = self.devtools("Page.captureScreenshot", &wanted);
        fs::write(path, base64(&text(&told["data"]))).expect("own folder");
    }

    /// A command of the `DevTools` protocol, and its answer.
    pub(crate) fn devtools(&self, command: &str, parameters: &Value) -> Value {
        let call = json!({ "cmd": command, "params": parameters });
        self.post("goog/cdp/execute", &call)
    }

    /// URLs of everything that pages asked for since the start or
    /// [`Browser::forget`], pages themselves included, whether it came or not.
    pub(crate) fn requests(&mut self) -> Vec<String> {
        let log = self.post("se/log", &json!({ "type": "performance" }));
        for entry in log.as_array().expect("a list of events") {
            let event: Value = serde_json::from_str(&text(&entry["message"])).expect("an event");
            let event = &event["message"];
            if event["method"] == "Network.requestWillBeSent" {
                self.requests.push(text(&event["params"]["request"]["url"]));
            }
        }
        self.requests.clone()
    }

    /// What pages put on the console as an error since then: errors of
    /// scripts, what could not be loaded, what a policy forbade.
    pub(crate) fn complaints(&mut self) -> Vec<String> {
        let log = self.post("se/log", &json!({ "type": "browser" }));
        let entries = log.as_array().expect("a list of lines").iter();
        let severe = entries.filter(|entry| entry["level"] == "SEVERE");
        self.complaints
            .extend(severe.map(|entry| text(&entry["message"])));
        self.complaints.clone()
    }

    /// Forgets the requests and complaints so far.
    pub(crate) fn forget(&mut self) {
        let _ = (self.requests(), self.complaints());
        self.requests.clear();
        self.complaints.clear();
    }

    fn ask(&self, what: &str) -> Value {
        self.answered(what, None)
    }

    fn post(&self, what: &str, body: &Value) -> Value {
        self.answered(what, Some(body))
    }

    fn answered(&self, what: &str, body: Option<&Value>) -> Value {
        let url = format!("{}/{what}", self.session);
        called(&self.agent, &url, body).unwrap_or_else(|error| panic!("{what}: {error}"))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The orderly way; an error means that there is only the other one.
        let quick = self.agent.delete(&self.session).config();
        let quick = quick.timeout_global(Some(Duration::from_secs(5))).build();
        let _ = quick.call();
        end(self.id, &self.profile);
    }
}

impl Element<'_> {
    /// Its text as it is shown.
    pub(crate) fn text(&self) -> String {
        text(&self.browser.ask(&self.path("text")))
    }

    /// A property of its object, as `value` or `disabled`.
    pub(crate) fn property(&self, name: &str) -> Value {
        self.browser.ask(&self.path(&format!("property/{name}")))
    }

    /// Clicks into its middle, as a mouse does: fails the test when it is
    /// covered or not shown.
    pub(crate) fn click(&self) {
        self.browser.post(&self.path("click"), &json!({}));
    }

    /// Types into it.
    pub(crate) fn type_in(&self, keys: &str) {
        let keys = json!({ "text": keys });
        self.browser.post(&self.path("value"), &keys);
    }

    /// Empties a field.
    pub(crate) fn clear(&self) {
        self.browser.post(&self.path("clear"), &json!({}));
    }

    /// Whether a reader can see it.
    pub(crate) fn is_shown(&self) -> bool {
        self.browser.ask(&self.path("displayed")) == Value::Bool(true)
    }

    /// Where it is.
    pub(crate) fn place(&self) -> Place {
        let place = self.browser.ask(&self.path("rect"));
        let of = |key: &str| place[key].as_f64().expect("a number");
        Place {
            x: of("x"),
            y: of("y"),
            width: of("width"),
            height: of("height"),
        }
    }

    fn path(&self, what: &str) -> String {
        format!("element/{}/{what}", self.id)
    }
}

/// What a session is asked for.
fn capabilities(chromium: &Path, profile: &Path, width: u32, height: u32) -> Value {
    let arguments = [
        "--headless=new".to_owned(),
        // For root, and where user namespaces are forbidden.
        "--no-sandbox".to_owned(),
        "--disable-gpu".to_owned(),
        "--disable-dev-shm-usage".to_owned(),
        format!("--user-data-dir={}", profile.display()),
        format!("--window-size={width},{height}"),
        "--force-device-scale-factor=1".to_owned(),
        // Of itself it asks for nothing, and nothing but loopback is there.
        "--no-first-run".to_owned(),
        "--disable-background-networking".to_owned(),
        "--disable-component-update".to_owned(),
        "--disable-default-apps".to_owned(),
        "--disable-extensions".to_owned(),
        "--disable-sync".to_owned(),
        "--disable-quic".to_owned(),
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost".to_owned(),
        "--proxy-server=127.0.0.1:9".to_owned(),
    ];
    json!({ "capabilities": { "alwaysMatch": {
        "browserName": "chrome",
        "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
        "goog:chromeOptions": {
            "binary": chromium,
            "args": arguments,
            "perfLoggingPrefs": { "enableNetwork": true, "enablePage": false },
        },
    }}})
}

/// The port that chromedriver names in its log.
fn port_in(log: &Path) -> Option<u16> {
    let said = fs::read_to_string(log).ok()?;
    let (_, behind) = said.split_once(LISTENS)?;
    // The full stop tells that the number is whole.
    let (port, _) = behind.split_once('.')?;
    port.parse().ok()
}

/// Ends what is left of the browser: the process `id`, or whichever names
/// the profile, which is nobody else's.
fn end(id: Option<Pid>, profile: &Path) {
    let profile = profile.to_str().expect("path is text");
    let is_ours = |id: Pid| {
        let line = fs::read(format!("/proc/{}/cmdline", id.as_raw_nonzero()));
        String::from_utf8_lossy(&line.unwrap_or_default()).contains(profile)
    };
    let ids: Vec<Pid> = match id {
        Some(id) => vec![id],
        None => processes(),
    };
    for id in ids.into_iter().filter(|id| is_ours(*id)) {
        let _ = kill_process(id, Signal::KILL);
    }
}

fn processes() -> Vec<Pid> {
    let entries = fs::read_dir("/proc").expect("/proc is there").flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers.filter_map(Pid::from_raw).collect()
}

fn by_css(selector: &str) -> Value {
    json!({ "using": "css selector", "value": selector })
}

fn text(value: &Value) -> String {
    let text = value.as_str();
    text.unwrap_or_else(|| panic!("no text: {value}"))
        .to_owned()
}

/// The `value` of `WebDriver`'s answer to a GET, or to a POST of `body`.
fn called(agent: &Agent, url: &str, body: Option<&Value>) -> Result<Value, String> {
    let answer = match body {
        None => agent.get(url).call(),
        Some(body) => agent
            .post(url)
            .header("content-type", "application/json")
            .send(body.to_string()),
    };
    let mut answer = answer.map_err(|error| error.to_string())?;
    let good = answer.status().is_success();
    // Screenshots and logs are longer than what is read by default.
    let limited = answer.body_mut().with_config().limit(256 << 20);
    let told = limited
        .read_to_string()
        .map_err(|error| error.to_string())?;
    let mut told: Value =
        serde_json::from_str(&told).map_err(|error| format!("{error}: {told}"))?;
    let value = told["value"].take();
    if good {
        Ok(value)
    } else {
        Err(value.to_string())
    }
}

/// Bytes of RFC 4648 base64, as `WebDriver` sends pictures.
fn base64(text: &str) -> Vec<u8> {
    let digit = |byte: u8| match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut held, mut bits) = (0_u32, 0);
    for value in text.bytes().filter_map(digit) {
        held = held << 6 | u32::from(value);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from(held >> bits & 0xff).expect("a byte"));
        }
    }
    bytes
}
