//! `btda serve` as a process, and questions to it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use ureq::Agent;

use super::process::{Process, isolated, wait_until};

/// A running page.
pub(crate) struct Page {
    process: Process,
    pub(crate) url: String,
    agent: Agent,
}

/// An answer of the page.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) kind: String,
    pub(crate) disposition: String,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }
}

/// What a page says before its URL.
const AT: &str = "the page is at ";

/// The URL of the page in what a program said.
pub(crate) fn url_in(said: &str) -> Option<String> {
    let (_, behind) = said.split_once(AT)?;
    let (url, _) = behind.split_once("/ ")?;
    Some(url.to_owned())
}

impl Page {
    /// Starts it in `folder`, which gets the output too, and waits for its
    /// address.
    pub(crate) fn serve(folder: &Path, arguments: &[&str]) -> Self {
        Self::serve_in(folder, arguments, &[])
    }

    /// The same with further variables in its environment.
    pub(crate) fn serve_in(folder: &Path, arguments: &[&str], more: &[(&str, &str)]) -> Self {
        let mut command = isolated(Path::new(env!("CARGO_BIN_EXE_btda")), folder);
        command
            .current_dir(folder)
            .args(["serve", "--web", "127.0.0.1:0"])
            .args(arguments)
            .envs(more.iter().copied());
        let log = folder.join("page.log");
        // A page that was there before has said where it was.
        let _ = fs::remove_file(&log);
        let mut process = Process::spawn("page", command, folder);
        let mut url = None;
        wait_until("the page says where it is", Duration::from_secs(60), || {
            process.assert_running();
            url = url_in(&fs::read_to_string(&log).unwrap_or_default());
            url.is_some()
        });
        Self {
            process,
            url: url.expect("just seen"),
            agent: agent(),
        }
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        get(&self.agent, &format!("{}{path}", self.url))
    }

    /// `POST /track`.
    pub(crate) fn track(&self, question: &Value) -> Answer {
        self.post(
            "/track",
            "application/json",
            question.to_string().as_bytes(),
        )
    }

    pub(crate) fn post(&self, path: &str, kind: &str, body: &[u8]) -> Answer {
        let request = self
            .agent
            .post(format!("{}{path}", self.url))
            .header("content-type", kind);
        answer(request.send(body).expect("the page answers"))
    }

    /// Ends it by Ctrl+C; fails the test when it does not end well.
    pub(crate) fn stop(mut self) {
        self.process.interrupt();
        let ended = self.process.wait(Duration::from_secs(60));
        assert!(ended.is_some_and(|status| status.success()), "{ended:?}");
    }
}

/// An agent with time for a busy machine.
pub(crate) fn agent() -> Agent {
    Agent::config_builder()
        .timeout_global(Some(Duration::from_secs(60)))
        .proxy(None)
        .http_status_as_error(false)
        .max_redirects(0)
        .build()
        .into()
}

pub(crate) fn get(agent: &Agent, url: &str) -> Answer {
    answer(agent.get(url).call().expect("the page answers"))
}

fn answer(mut response: ureq::http::Response<ureq::Body>) -> Answer {
    let header = |name: &str| {
        let value = response.headers().get(name);
        value.map_or_else(String::new, |value| {
            value.to_str().expect("text").to_owned()
        })
    };
    Answer {
        status: response.status().as_u16(),
        kind: header("content-type"),
        disposition: header("content-disposition"),
        text: response.body_mut().read_to_string().expect("text"),
    }
}
