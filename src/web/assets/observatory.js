"use strict";
// Keeps the map page up to date: every event is the whole state, so a break of
// the connection loses nothing. Without it, pages are as of their loading.
// Text from outside only ever becomes text.

const at = (id) => document.getElementById(id);
const grouped = (number) => Number(number).toLocaleString("en");

function drawn(name, attributes) {
  const made = document.createElementNS(at("map").namespaceURI, name);
  for (const key in attributes) made.setAttribute(key, attributes[key]);
  return made;
}

// Codes of countries as names, where the browser knows them.
function country(code) {
  if (!/^[A-Z]{2}$/.test(code)) return code;
  try {
    return new Intl.DisplayNames("en", { type: "region" }).of(code) || code;
  } catch {
    return code;
  }
}

function nameCountries() {
  for (const cell of document.querySelectorAll("[data-countries] tbody th bdi")) {
    cell.textContent = country(cell.textContent);
  }
}

// As heat.rs and heat_map.html have it.
function step(records) {
  return records < 2 ? 1 : records < 10 ? 2 : records < 100 ? 3 : 4;
}

function drawMap(cells, placed) {
  const group = document.createDocumentFragment();
  for (const [latitude, longitude, records] of cells) {
    const place = { cx: Math.round((longitude + 180) * 10), cy: Math.round((84 - latitude) * 10) };
    const heat = step(records);
    group.append(drawn("circle", { ...place, class: "glow", r: heat * 26 + 24, fill: `url(#glow${heat})` }));
    const spot = drawn("circle", { ...place, class: "spot heat" + heat, r: heat * 3 + 5 });
    spot.append(drawn("title", {}));
    spot.firstChild.textContent = records;
    group.append(spot);
  }
  at("cells").replaceChildren(group);
  const places = cells.length === 1 ? "place" : "places";
  at("map").setAttribute("aria-label",
    `World map: ${grouped(placed)} records of two minutes, from ${grouped(cells.length)} ${places}`);
}

function drawRates(minutes) {
  const most = Math.max(1, ...minutes.map((it) => it.get_peers + it.announce + it.resolve));
  const height = (records) => Math.floor(records * 1000 / most);
  const columns = document.createDocumentFragment();
  minutes.forEach((it, place) => {
    let below = 0;
    for (const kind of ["get_peers", "announce", "resolve"]) {
      below += it[kind];
      columns.append(drawn("rect", {
        class: kind, x: place * 10, y: 1000 - height(below), width: 9, height: height(it[kind]),
      }));
    }
  });
  const chart = at("rates");
  chart.setAttribute("viewBox", `0 0 ${minutes.length * 10} 1000`);
  chart.setAttribute("aria-label",
    `Records over time, at most ${grouped(most)} in 1 min; the figures are in the table below`);
  chart.replaceChildren(columns);
  at("rates_most").textContent = grouped(most);
  if (minutes.length) {
    at("rates_begin").textContent = minutes[0].at.slice(11, 16);
    at("rates_end").textContent = minutes[minutes.length - 1].at.slice(11, 16) + " UTC";
  }
}

function fillMinutes(minutes) {
  const rows = document.createDocumentFragment();
  for (const it of [...minutes].reverse()) {
    const row = document.createElement("tr");
    row.insertCell().textContent = it.at;
    for (const kind of ["get_peers", "announce", "resolve"]) {
      const cell = row.insertCell();
      cell.className = "n";
      cell.textContent = it[kind];
    }
    rows.append(row);
  }
  at("minutes").replaceChildren(rows);
}

function fillBars(id, shares, named) {
  const most = Math.max(1, ...shares.map((it) => it.count));
  const rows = document.createDocumentFragment();
  for (const it of shares) {
    const row = document.createElement("tr");
    if (it.name === "Others") row.className = "others";
    const head = row.appendChild(document.createElement("th"));
    head.scope = "row";
    head.appendChild(document.createElement("bdi")).textContent = named(it.name);
    const bar = drawn("svg", {
      class: "bar", viewBox: "0 0 100 10", preserveAspectRatio: "none", role: "img",
      "aria-label": it.percent + " percent",
    });
    bar.append(drawn("rect", { width: it.count * 100 / most, height: 10 }));
    row.insertCell().append(bar);
    for (const text of [grouped(it.count), it.percent.toFixed(1) + " %"]) {
      const cell = row.insertCell();
      cell.className = "n";
      cell.textContent = text;
    }
    rows.append(row);
  }
  at(id).tBodies[0].replaceChildren(rows);
}

function show(state) {
  const figures = { ...state.figures, placed: state.placed, torrents: state.torrents };
  for (const box of document.querySelectorAll("[data-figure]")) {
    const name = box.dataset.figure;
    box.textContent = name === "rate" ? state.per_second.toFixed(1) : grouped(figures[name]);
  }
  drawMap(state.cells, state.placed);
  drawRates(state.minutes);
  fillMinutes(state.minutes);
  fillBars("countries", state.countries, country);
  fillBars("resolved", state.resolved, (name) => name);
}

function listen(status) {
  const source = new EventSource(status.dataset.events);
  source.addEventListener("state", (event) => {
    show(JSON.parse(event.data));
    status.textContent = "Live";
    status.className = "live";
  });
  source.addEventListener("error", () => {
    status.textContent = "The connection is broken; this is the last that was seen. Trying again.";
    status.className = "broken";
  });
}

// A point of the results' map shows its result beside it.
function choose(event) {
  const link = event.target.closest("[data-result]");
  const result = link && at(link.dataset.result);
  if (!result) return;
  event.preventDefault();
  const popup = at("popup");
  popup.replaceChildren(
    result.querySelector("h2 a").cloneNode(true),
    ...[...result.querySelectorAll(".place, .size, .files")].map((it) => {
      const line = document.createElement("p");
      line.textContent = it.textContent;
      return line;
    }),
  );
  popup.hidden = false;
}

nameCountries();
const status = at("connection");
if (status && status.dataset.events) listen(status);
if (at("popup")) at("map").addEventListener("click", choose);
