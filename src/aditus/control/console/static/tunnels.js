// What is live: pages with data-stream follow the server's events, and read their data-live parts anew when
// tunnels or keys change. The page of tunnels draws what each carries.
import { parse } from "./html.js";

const AFTER_MILLISECONDS = 150; // a revoke of many keys is many events, and one look
const AGAIN_MILLISECONDS = [1000, 30000]; // the first and the longest wait before a stream is opened anew
const KEPT = 60; // seconds of a chart
const UNITS = ["B/s", "kB/s", "MB/s", "GB/s"];
const SVG = "http://www.w3.org/2000/svg";
const BACKGROUND = { "Aditus-Background": "1" }; // nobody uses the session by this

const followed = document.querySelector("[data-stream]");
const history = new Map(); // by tunnel: the last total, and the rates
let events = null;
let wait = AGAIN_MILLISECONDS[0];
let due = 0;
let again = 0;

if (followed) {
  open();
  // A browser has six connections for all of its pages: one that nobody looks at holds none.
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  addEventListener("pagehide", close);
  addEventListener("pageshow", (event) => event.persisted && location.reload());
}
for (const place of document.querySelectorAll("[data-load]")) load(place);

function open() {
  if (events || document.hidden) return;
  events = new EventSource(followed.dataset.stream);
  events.addEventListener("ready", () => {
    wait = AGAIN_MILLISECONDS[0];
    say("Live");
    refresh(); // what happened while nobody followed, and between the page and this answer
  });
  for (const kind of ["tunnel", "key", "quota", "lagged"]) events.addEventListener(kind, refresh);
  events.addEventListener("traffic", (event) => draw(JSON.parse(event.data)));
  events.addEventListener("ended", () => location.reload());
  events.addEventListener("error", () => {
    say("Not live: the server does not answer. Trying again …");
    if (events?.readyState !== EventSource.CLOSED) return; // the browser tries again by itself
    close();
    again = setTimeout(open, wait);
    wait = Math.min(2 * wait, AGAIN_MILLISECONDS[1]);
  });
}

function close() {
  clearTimeout(again);
  events?.close();
  events = null;
}

/** Show what takes a while to find out, once it is found; until then, and without an answer, the link to it stays. */
async function load(place) {
  try {
    const answer = await fetch(place.dataset.load, { credentials: "same-origin", headers: BACKGROUND });
    const found = parse(await answer.text()).querySelector("#dialog p");
    if (answer.ok && !answer.redirected && found) place.replaceChildren(document.adoptNode(found));
  } catch {
    return; // the link is there
  }
}

function say(text) {
  if (followed.matches(".live") && followed.textContent !== text) followed.textContent = text;
}

function refresh() {
  clearTimeout(due);
  due = setTimeout(async () => {
    try {
      const options = { credentials: "same-origin", cache: "no-store", headers: BACKGROUND };
      const answer = await fetch(location.href, options);
      if (answer.redirected) return location.reload();
      if (answer.ok) replace(parse(await answer.text()));
    } catch {
      say("Not live: the server does not answer. Trying again …");
    }
  }, AFTER_MILLISECONDS);
}

function replace(page) {
  if (document.querySelector(".menu:popover-open")) return refresh(); // not from under somebody's hand
  for (const part of document.querySelectorAll("[data-live]")) {
    const fresh = page.getElementById(part.id);
    if (!fresh) continue;
    const focused = part.contains(document.activeElement) ? mark(document.activeElement) : "";
    const ticked = new Set([...part.querySelectorAll("[name='key_id']:checked")].map((box) => box.value));
    const typed = part.querySelector("input[type='search']");
    const search = fresh.querySelector("input[type='search']");
    if (typed && search) search.value = typed.value;
    part.replaceChildren(...[...fresh.childNodes].map((node) => document.adoptNode(node)));
    for (const box of part.querySelectorAll("[name='key_id']")) box.checked = ticked.has(box.value);
    if (focused) part.querySelector(focused)?.focus();
  }
  document.dispatchEvent(new Event("change"));
  for (const row of document.querySelectorAll("[data-tunnel]")) show(row);
}

/** How to find again what has the focus. */
function mark(element) {
  for (const name of ["id", "href", "popovertarget", "value", "name"]) {
    if (element.hasAttribute(name)) return `[${name}="${CSS.escape(element.getAttribute(name))}"]`;
  }
  return "";
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
  const rates = [...Array(KEPT - kept.rates.length).fill(0), ...kept.rates];
  line.setAttribute("points", rates.map((one, at) => `${at},${(19 - (18 * one) / most).toFixed(1)}`).join(" "));
}

function rate(bytes) {
  let unit = 0;
  while (bytes >= 999.5 && unit < UNITS.length - 1) {
    bytes /= 1000;
    unit += 1;
  }
  return `${unit === 0 || bytes >= 99.95 ? bytes.toFixed(0) : bytes.toFixed(1)} ${UNITS[unit]}`;
}
