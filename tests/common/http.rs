//! Small HTTP calls to the programs' own interfaces on loopback.

use std::time::Duration;

use serde_json::Value;
use ureq::Agent;

/// An agent for loopback: short limit, no proxy, every status is an answer.
pub(crate) fn agent() -> Agent {
    Agent::config_builder()
        .timeout_global(Some(Duration::from_secs(5)))
        .proxy(None)
        .http_status_as_error(false)
        .build()
        .into()
}

/// Body of a GET, or why there is no good answer.
pub(crate) fn fetch(agent: &Agent, url: &str) -> Result<Vec<u8>, String> {
    let mut answer = agent.get(url).call().map_err(|error| error.to_string())?;
    let status = answer.status();
    let body = answer.body_mut().read_to_vec();
    let body = body.map_err(|error| error.to_string())?;
    if status.is_success() {
        Ok(body)
    } else {
        Err(format!("{status}: {}", String::from_utf8_lossy(&body)))
    }
}

/// Posts JSON and reads JSON back.
pub(crate) fn post_json(agent: &Agent, url: &str, body: &Value) -> Result<Value, String> {
    let mut answer = agent
        .post(url)
        .header("content-type", "application/json")
        .send(body.to_string())
        .map_err(|error| error.to_string())?;
    let text = answer
        .body_mut()
        .read_to_string()
        .map_err(|error| error.to_string())?;
    serde_json::from_str(&text).map_err(|error| format!("{error}: {text}"))
}
