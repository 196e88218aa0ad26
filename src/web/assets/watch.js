"use strict";
// Keeps the pages of a run up to date. Every event is the whole state, so a
// break of the connection loses nothing.

const at = (id) => document.getElementById(id);

// The torrent or the tracker that a page is about.
const { torrent, tracker } = at("one")?.dataset ?? {};

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
  // A link that has the focus keeps it.
  const focused = document.activeElement?.getAttribute("href");
  at(id).replaceChildren(body);
  if (focused && document.activeElement === document.body) {
    at(id).querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus();
  }
}

function list(id, texts, none) {
  const items = (texts.length ? texts : [none]).map((text) => {
    const item = document.createElement("li");
    item.textContent = text;
    if (!texts.length) item.className = "none";
    return item;
  });
  at(id).replaceChildren(...items);
}

const percent = (part, whole) => (whole ? Math.round((part / whole) * 100) + " %" : "");

const forms = {
  visits_per_second: (value) => value.toFixed(1),
  success: (value) => (value === null ? "-" : Math.round(value * 100) + " %"),
};

function showLive(live) {
  for (const box of document.querySelectorAll("[data-live]")) {
    const path = box.dataset.live;
    const value = path.split(".").reduce((found, name) => found?.[name], live);
    box.textContent = forms[path] ? forms[path](value) : value ?? "off";
  }
  fill("ways", live.ways.map((it) => [
    [it.transport], [it.encrypted ? "yes" : "no"], [it.tried, "n"], [it.counted, "n"], [percent(it.counted, it.tried), "n"],
  ]));
}

function showMap(countries) {
  const text = countries.map((it) => it.country + " " + it.peers);
  const known = [...at("countries").children].map((it) => it.textContent);
  if (text.join() === known.join()) return;
  const spans = text.flatMap((it) => {
    const span = document.createElement("span");
    span.textContent = it;
    return [span, " "];
  });
  at("countries").replaceChildren(...spans);
  at("map").hidden = countries.length === 0;
  at("map_picture").src = "/watch/map.svg?peers=" + countries.reduce((sum, it) => sum + it.peers, 0);
}

const torrentLink = (number) => "/watch/torrents/" + number;

function showRun(state) {
  const stored = state.stored;
  list("notices", state.notices, "Nothing: all is well.");
  showLive(state.live);
  fill("torrents", stored.torrents.map((it) => [
    [it.id, "n"], [it.name, "", torrentLink(it.id)], [it.peers, "n"], [it.confirmed, "n"],
    [it.reported, "n"], [percent(it.confirmed, it.reported), "n"], [it.seeders, "n"], [it.leechers, "n"],
  ]));
  fill("crossings", stored.crossings.map((it) => [
    [it.time], [it.torrent, "n"], [it.peer, "n"], [it.below, "n"], [it.at, "n"], [it.country], [it.client],
  ]));
  fill("outcomes", stored.outcomes.map((it) => [[it.event], [it.reason], [it.count, "n"]]));
  fill("transports", stored.transports.map((it) => [[it.transport], [it.encryption], [it.visits, "n"]]));
  fill("trackers", stored.trackers.map((it, place) => [
    [it.torrent, "n", torrentLink(it.torrent)], [stored.tracker_names[place], "", "/watch/trackers/" + (place + 1)],
    [it.answered, "n"], [it.failed, "n"], [it.reason],
  ]));
  showMap(stored.countries);
}

function showTorrent(stored) {
  const found = stored.torrents.find((it) => String(it.id) === torrent);
  if (!found) return;
  for (const box of document.querySelectorAll("[data-figure]")) {
    const name = box.dataset.figure;
    box.textContent = (name === "share" ? percent(found.confirmed, found.reported) : found[name]) ?? "";
  }
  const all = stored.trackers.map((it, place) => ({ ...it, place }));
  fill("trackers", all.filter((it) => String(it.torrent) === torrent).map((it) => [
    [stored.tracker_names[it.place], "", "/watch/trackers/" + (it.place + 1)],
    [it.answered, "n"], [it.failed, "n"], [it.reason],
  ]));
  fill("crossings", stored.crossings.filter((it) => String(it.torrent) === torrent).map((it) => [
    [it.time], [it.peer, "n"], [it.below, "n"], [it.at, "n"],
  ]));
}

function showTracker(stored) {
  fill("trackers", stored.trackers.filter((_, place) => stored.tracker_names[place] === tracker).map((it) => [
    [it.torrent, "n", torrentLink(it.torrent)], [it.answered, "n"], [it.failed, "n"], [it.reason],
  ]));
}

function show(state) {
  if (torrent) showTorrent(state.stored);
  else if (tracker) showTracker(state.stored);
  else showRun(state);
}

const source = new EventSource("/events");
source.addEventListener("state", (event) => {
  show(JSON.parse(event.data));
  at("connection").textContent = "Live.";
});
source.addEventListener("error", () => {
  at("connection").textContent = "The connection is broken; the figures are the last ones. Trying again.";
});
