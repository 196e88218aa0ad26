"use strict";
// Sends the form of the start page and shows the answer. Text from outside
// only ever becomes text.

const at = (id) => document.getElementById(id);

function cell(row, text, kind) {
  const made = row.insertCell();
  made.textContent = text;
  if (kind) made.className = kind;
}

function show(answer) {
  at("peers_total").textContent = answer.peer_count;
  at("seeders").textContent = answer.complete;
  at("leechers").textContent = answer.incomplete;
  at("downloads").textContent = answer.downloaded;
  at("interval").textContent = answer.interval;
  at("next_request").textContent = answer.next_request;
  const rows = document.createDocumentFragment();
  for (const peer of answer.peers) {
    const row = document.createElement("tr");
    cell(row, peer.ip, "hash");
    cell(row, peer.port, "n");
    cell(row, peer.country || "");
    rows.append(row);
  }
  at("peers").replaceChildren(rows);
  const repeated = at("repeated");
  repeated.hidden = !answer.from_last_result;
  repeated.textContent = "The tracker's interval is not over: this is its answer of " + answer.timestamp + ".";
  at("result").hidden = false;
}

async function question(form) {
  const file = form.elements.torrent.files[0];
  const port = form.elements.port.value;
  if (file) {
    return {
      address: "/track?port=" + encodeURIComponent(port),
      kind: "application/x-bittorrent",
      body: await file.arrayBuffer(),
    };
  }
  const fields = { port };
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
  state.textContent = "Asking the tracker ...";
  try {
    const asked = await question(form);
    const answer = await fetch(asked.address, {
      method: "POST",
      headers: { "Content-Type": asked.kind },
      body: asked.body,
    });
    const result = await answer.json();
    if (result.error) throw new Error(result.error);
    show(result);
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
