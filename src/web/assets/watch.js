"use strict";
// Keeps the overview of a run up to date. Every event is the whole state, so
// a break of the connection loses nothing.

const at = (id) => document.getElementById(id);

function fill(id, rows) {
  const body = document.createDocumentFragment();
  for (const cells of rows) {
    const row = document.createElement("tr");
    for (const [text, kind, link] of cells) {
      const cell = row.insertCell();
      if (kind) cell.className = kind;
      const place = link ? cell.appendChild(document.createElement("a")) : cell;
      if (link) place.href = link;
      place.textContent = text ?? "";
    }
    body.append(row);
  }
  at(id).replaceChildren(body);
}

function show(state) {
  for (const box of document.querySelectorAll("[data-live]")) {
    const value = state.live[box.dataset.live];
    box.textContent = box.dataset.live === "visits_per_second" ? value.toFixed(1) : value ?? "off";
  }
  const stored = state.stored;
  fill("torrents", stored.torrents.map((it) => [
    [it.id, "n"], [it.name, "", "/watch/torrents/" + it.id], [it.peers, "n"], [it.confirmed, "n"],
    [it.reported, "n"], [it.seeders, "n"], [it.leechers, "n"],
  ]));
  fill("crossings", stored.crossings.map((it) => [
    [it.time], [it.torrent, "n"], [it.peer, "n"], [it.below, "n"], [it.at, "n"], [it.country], [it.client],
  ]));
  fill("outcomes", stored.outcomes.map((it) => [[it.event], [it.reason], [it.count, "n"]]));
  fill("transports", stored.transports.map((it) => [[it.transport], [it.encryption], [it.visits, "n"]]));
  fill("trackers", stored.trackers.map((it, place) => [
    [it.torrent, "n"], [stored.tracker_names[place], "", "/watch/trackers/" + (place + 1)],
    [it.answered, "n"], [it.failed, "n"], [it.reason],
  ]));
}

const source = new EventSource("/events");
source.addEventListener("state", (event) => {
  show(JSON.parse(event.data));
  at("connection").textContent = "Live.";
});
source.addEventListener("error", () => {
  at("connection").textContent = "The connection is broken; the figures are the last ones. Trying again.";
});
