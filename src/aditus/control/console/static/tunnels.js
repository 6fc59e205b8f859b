// What is live: pages with data-stream follow the server's events, and read their data-live parts anew when
// tunnels or keys change. The page of tunnels draws what each carries.
import { parse } from "./html.js";

const AFTER_MILLISECONDS = 150; // a revoke of many keys is many events, and one look
const KEPT = 60; // seconds of a chart
const UNITS = ["B/s", "kB/s", "MB/s", "GB/s"];
const SVG = "http://www.w3.org/2000/svg";

const followed = document.querySelector("[data-stream]");
const history = new Map(); // by tunnel: the last total, and the rates
let due = 0;

if (followed) {
  const events = new EventSource(followed.dataset.stream);
  let known = false;
  events.addEventListener("ready", () => {
    say("Live");
    if (known) refresh(); // what happened while the stream was away
    known = true;
  });
  for (const kind of ["tunnel", "key", "quota", "lagged"]) events.addEventListener(kind, refresh);
  events.addEventListener("traffic", (event) => draw(JSON.parse(event.data)));
  events.addEventListener("ended", () => {
    events.close();
    location.reload();
  });
  events.addEventListener("error", () => say("Not live: the server does not answer. Trying again …"));
  addEventListener("pagehide", () => events.close());
  addEventListener("pageshow", (event) => event.persisted && location.reload());
}

for (const place of document.querySelectorAll("[data-load]")) load(place);

/** Show what takes a while to find out, once it is found; until then, and without an answer, the link to it stays. */
async function load(place) {
  const answer = await fetch(place.dataset.load, { credentials: "same-origin" });
  const found = parse(await answer.text()).querySelector("#dialog p");
  if (answer.ok && !answer.redirected && found) place.replaceChildren(document.adoptNode(found));
}

function say(text) {
  if (followed.matches(".live") && followed.textContent !== text) followed.textContent = text;
}

function refresh() {
  clearTimeout(due);
  due = setTimeout(async () => {
    try {
      const answer = await fetch(location.href, { credentials: "same-origin", cache: "no-store" });
      if (answer.redirected) return location.reload();
      replace(parse(await answer.text()));
    } catch {
      say("Not live: the server does not answer. Trying again …");
    }
  }, AFTER_MILLISECONDS);
}

function replace(page) {
  for (const part of document.querySelectorAll("[data-live]")) {
    const fresh = page.getElementById(part.id);
    const focused = part.contains(document.activeElement) ? document.activeElement.id : "";
    const typed = part.querySelector("input[type='search']");
    if (!fresh) continue;
    const search = fresh.querySelector("input[type='search']");
    if (typed && search) search.replaceWith(typed);
    part.replaceChildren(...[...fresh.childNodes].map((node) => document.adoptNode(node)));
    if (typed && document.activeElement !== typed && focused === typed.id) typed.focus();
    else if (focused) document.getElementById(focused)?.focus();
  }
  for (const row of document.querySelectorAll("[data-tunnel]")) show(row);
}

function draw(told) {
  for (const row of document.querySelectorAll("[data-tunnel]")) {
    const now = told.tunnels[row.dataset.tunnel];
    if (!now) continue;
    const kept = history.get(row.dataset.tunnel) ?? { rates: [] };
    const total = now.bytes_in + now.bytes_out;
    if (kept.at) kept.rates.push(Math.max(0, (total - kept.total) / (told.at - kept.at)));
    Object.assign(kept, { total, at: told.at, now });
    kept.rates.splice(0, kept.rates.length - KEPT);
    history.set(row.dataset.tunnel, kept);
    show(row);
  }
  for (const tunnel of history.keys()) if (!told.tunnels[tunnel]) history.delete(tunnel);
}

function show(row) {
  const kept = history.get(row.dataset.tunnel);
  if (!kept || !row.querySelector("[data-spark]")) return;
  row.querySelector("[data-streams]").textContent = kept.now.streams;
  row.querySelector("[data-rtt]").textContent = kept.now.rtt_ms === null ? "–" : `${kept.now.rtt_ms.toFixed(1)} ms`;
  row.querySelector("[data-rate]").textContent = rate(kept.rates.at(-1) ?? 0);
  const place = row.querySelector("[data-spark]");
  let line = place.querySelector("polyline");
  if (!line) {
    const chart = document.createElementNS(SVG, "svg");
    chart.setAttribute("class", "spark");
    chart.setAttribute("viewBox", `0 0 ${KEPT - 1} 20`);
    chart.setAttribute("preserveAspectRatio", "none");
    chart.setAttribute("aria-hidden", "true");
    line = document.createElementNS(SVG, "polyline");
    line.setAttribute("vector-effect", "non-scaling-stroke");
    chart.append(line);
    place.replaceChildren(chart);
  }
  const most = Math.max(1, ...kept.rates);
  const first = KEPT - kept.rates.length;
  line.setAttribute("points", kept.rates.map((one, at) => `${first + at},${(19 - (18 * one) / most).toFixed(1)}`).join(" "));
}

function rate(bytes) {
  let unit = 0;
  while (bytes >= 999.5 && unit < UNITS.length - 1) {
    bytes /= 1000;
    unit += 1;
  }
  return `${unit === 0 || bytes >= 99.95 ? bytes.toFixed(0) : bytes.toFixed(1)} ${UNITS[unit]}`;
}
