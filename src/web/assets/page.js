"use strict";
// Sends the form of the start page and shows the answer, and the visits to
// the peers while they are made. Text from outside only ever becomes text.

const at = (id) => document.getElementById(id);

// Rows of the peers by address and port.
let rows = new Map();
// The torrent of the result, and its events.
let tracked = null;
let source = null;

const key = (peer) => peer.ip + " " + peer.port;

function cell(row, text, kind) {
  const made = row.insertCell();
  made.textContent = text ?? "";
  if (kind) made.className = kind;
  return made;
}

function show(answer) {
  at("peers_total").textContent = answer.peer_count;
  at("seeders").textContent = answer.complete;
  at("leechers").textContent = answer.incomplete;
  at("downloads").textContent = answer.downloaded;
  showSources(answer);
  rows = new Map();
  const body = document.createDocumentFragment();
  for (const peer of answer.peers) {
    const row = document.createElement("tr");
    cell(row, peer.ip, "hash");
    cell(row, peer.port, "n");
    cell(row, peer.sources.map((it) => (it === "dht" ? "DHT" : it)).join(", "));
    cell(row, peer.country);
    cell(row, peer.client);
    if (at("visits")) for (const kind of ["bar", "", ""]) cell(row, "", kind);
    rows.set(key(peer), row);
    if (peer.visit && at("visits")) showVisit(row, peer, "done");
    body.append(row);
  }
  at("peers").replaceChildren(body);
  const repeated = at("repeated");
  repeated.hidden = !answer.from_last_result;
  repeated.textContent = "The interval is not over: this is the answer of " + answer.timestamp + ".";
  tracked = answer.info_hash;
  endVisits();
  if (at("visits")) {
    at("visits").hidden = answer.peers.length === 0;
    at("visits_progress").hidden = true;
    at("visits_state").textContent = "";
    at("visit").disabled = false;
  }
  at("result").hidden = false;
}

function showSources(answer) {
  const list = document.createDocumentFragment();
  const item = (text, kind) => {
    const made = document.createElement("li");
    made.textContent = text;
    made.className = kind;
    list.append(made);
  };
  for (const it of answer.sources) {
    const name = it.source === "dht" ? "DHT" : it.tracker_url;
    if (it.error) item(name + ": " + it.error, "bad");
    else item(name + ": " + it.peer_count + " peers; next request from " + it.next_request + " on", "");
  }
  if (answer.tracker_error) item("Tracker: " + answer.tracker_error, "bad");
  if (answer.dht_error) item("DHT: " + answer.dht_error, "bad");
  at("sources").replaceChildren(list);
}

function showVisit(row, peer, step) {
  const [progress, transport, outcome] = [...row.cells].slice(-3);
  const visit = peer.visit;
  row.cells[4].textContent = peer.client ?? "";
  if (!visit) {
    outcome.textContent = { visiting: "visiting ...", skipped: "left out" }[step] ?? "";
    return;
  }
  transport.textContent = [visit.transport, visit.encryption].filter(Boolean).join(", ");
  outcome.textContent = visit.outcome;
  outcome.className = visit.outcome === "success" ? "good" : "";
  const all = visit.pieces_count ?? 1;
  const has = visit.pieces ?? (visit.complete === null ? null : visit.complete ? all : 0);
  if (has === null) {
    progress.textContent = "";
    return;
  }
  const share = visit.complete ? "100 %" : Math.min(99, Math.floor((has / all) * 100)) + " %";
  const bar = document.createElement("progress");
  bar.max = all;
  bar.value = has;
  bar.setAttribute("aria-label", "Progress");
  progress.replaceChildren(bar, " " + share);
}

const phases = {
  metadata: "Asking peers for the number of pieces ...",
  visiting: "Visiting ...",
  done: "Done.",
};

function showVisits(state) {
  const bar = at("visits_bar");
  bar.max = state.total;
  bar.value = state.done;
  for (const name of ["done", "total", "reached", "complete"]) at("visits_" + name).textContent = state[name];
  for (const peer of state.peers) {
    const row = rows.get(key(peer));
    if (row) showVisit(row, peer, peer.step);
  }
  let text = phases[state.phase];
  if (state.phase !== "metadata" && state.pieces_count === null) text += " Nobody told the number of pieces.";
  if (state.phase === "done" && state.stored) text += " The reports have it, too.";
  const said = at("visits_state");
  // Said again only when it is something else.
  if (said.textContent !== text) said.textContent = text;
  if (state.phase === "done") {
    endVisits();
    at("visit").disabled = false;
  }
}

function endVisits() {
  source?.close();
  source = null;
}

async function send(address, kind, body) {
  const answer = await fetch(address, { method: "POST", headers: { "Content-Type": kind }, body });
  const result = await answer.json();
  if (!answer.ok || result.error) throw new Error(result.error);
  return result;
}

async function visit() {
  at("visit").disabled = true;
  at("visits_state").className = "";
  try {
    const begun = await send("/visits", "application/json", JSON.stringify({ info_hash: tracked }));
    at("visits_progress").hidden = false;
    endVisits();
    source = new EventSource("/visits/" + begun.number + "/events");
    source.addEventListener("visits", (event) => showVisits(JSON.parse(event.data)));
    const mine = source;
    mine.addEventListener("error", () => {
      const over = mine.readyState === EventSource.CLOSED;
      at("visits_state").textContent = over
        ? "The visits cannot be watched. Press the button again later."
        : "The connection is broken. Trying again.";
      if (over) at("visit").disabled = false;
    });
  } catch (error) {
    at("visits_state").textContent = error.message;
    at("visits_state").className = "error";
    at("visit").disabled = false;
  }
}

async function question(form) {
  const file = form.elements.torrent.files[0];
  const port = form.elements.port.value;
  const dht = Boolean(form.elements.dht?.checked);
  if (file) {
    return {
      address: "/track?port=" + encodeURIComponent(port) + (dht ? "&dht=1" : ""),
      kind: "application/x-bittorrent",
      body: await file.arrayBuffer(),
    };
  }
  const fields = { port, dht };
  for (const name of ["info_hash", "tracker_url", "magnet"]) fields[name] = form.elements[name].value;
  return { address: "/track", kind: "application/json", body: JSON.stringify(fields) };
}

async function track(event) {
  event.preventDefault();
  const form = event.target;
  const button = form.querySelector("button");
  const state = at("state");
  button.disabled = true;
  state.className = "";
  state.textContent = "Asking ...";
  try {
    const asked = await question(form);
    show(await send(asked.address, asked.kind, asked.body));
    state.textContent = "Answered.";
    state.className = "good";
  } catch (error) {
    at("result").hidden = true;
    state.textContent = error.message;
    state.className = "error";
  }
  button.disabled = false;
}

at("track").addEventListener("submit", track);
at("visit")?.addEventListener("click", visit);
