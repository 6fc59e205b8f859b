// Steps in a dialog over the page: a link or form with data-dialog is a page of its own, whose #dialog is shown
// here instead. What a form answers is shown the same way; where it leads elsewhere, the page below is read anew.
import { parse } from "./html.js";

const overlay = document.getElementById("overlay");
const FOCUS = "aditus-focus"; // where the focus was before the page was read anew
let opener = "";

if (overlay) {
  document.addEventListener("click", (event) => {
    const plain = event.button === 0 && !(event.ctrlKey || event.metaKey || event.shiftKey || event.altKey);
    const link = event.target.closest("a, button");
    if (!link || !plain) return;
    if (link.matches("a[data-dialog]")) {
      event.preventDefault();
      link.closest("[popover]")?.hidePopover();
      step(link.href, {}, link);
    } else if (link.matches("[data-close]") && (overlay.contains(link) || unkept())) {
      event.preventDefault();
      leave();
    } else if (link.matches("[data-close-anyway]")) {
      link.closest("[data-secret]").dataset.kept = ""; // nobody is asked twice
      if (!overlay.contains(link)) return;
      event.preventDefault();
      overlay.close();
    } else if (link.matches("[data-stay]")) {
      document.getElementById("ask-close").hidden = true;
      document.querySelector("[data-secret] [data-copy]").focus();
    }
  });
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.matches("[data-dialog]") && !overlay.contains(form)) return;
    event.preventDefault();
    const body = new URLSearchParams(new FormData(form, event.submitter));
    step(form.getAttribute("action"), { method: "POST", body }, event.submitter);
  });
  overlay.addEventListener("cancel", (event) => {
    if (event.target !== overlay) return;
    event.preventDefault();
    leave();
  });
  overlay.addEventListener("close", () => {
    const reload = overlay.querySelector("[data-reload]");
    overlay.replaceChildren();
    if (reload) again();
  });
}

/** Ask for the next step, and show it. */
async function step(address, options, button) {
  if (button?.getAttribute("aria-busy") === "true") return;
  button?.setAttribute("aria-busy", "true");
  if (!overlay.open) opener = mark(button);
  overlay.querySelector("[data-unanswered]")?.remove();
  try {
    const response = await fetch(address, { credentials: "same-origin", cache: "no-store", ...options });
    const answer = new URL(response.url);
    if (response.redirected && answer.pathname === "/sign-in") {
      location.assign(`/sign-in?${new URLSearchParams({ next: location.pathname + location.search })}`);
    } else if (response.redirected) {
      again(answer.searchParams.get("notice"));
    } else if (response.headers.get("Content-Type")?.startsWith("text/html")) {
      show(parse(await response.text()));
    } else {
      tell(`The server refused this (${response.status}), and changed nothing. Shorten what you typed, then try again.`);
    }
  } catch {
    tell("The server did not answer, so it is not known whether anything changed. Look, then try again.");
  } finally {
    button?.removeAttribute("aria-busy");
  }
}

function tell(text) {
  const told = Object.assign(document.createElement("div"), { className: "problem", textContent: text });
  told.setAttribute("role", "alert");
  told.dataset.unanswered = "";
  (overlay.querySelector("form") ?? overlay.querySelector("#dialog") ?? card()).prepend(told);
}

function card() {
  const section = Object.assign(document.createElement("section"), { id: "dialog" });
  const close = Object.assign(document.createElement("button"), { type: "button", textContent: "Close" });
  close.dataset.close = "";
  section.append(close);
  overlay.replaceChildren(section);
  if (!overlay.open) overlay.showModal();
  return section;
}

function show(page) {
  const content = page.getElementById("dialog");
  overlay.replaceChildren(document.adoptNode(content));
  if (!overlay.open) overlay.showModal();
  const first =
    overlay.querySelector("[aria-invalid='true']") ??
    overlay.querySelector("[autofocus]") ??
    overlay.querySelector("h1");
  first.focus();
  overlay.scrollTop = 0;
}

/** Close, unless a secret is shown that nobody has kept: that is asked first. */
function leave() {
  if (!unkept()) {
    overlay.close();
    return;
  }
  const ask = document.getElementById("ask-close");
  ask.hidden = false;
  ask.querySelector("[data-stay]").focus();
}

/** Whether a secret is shown that nobody has kept. */
function unkept() {
  return document.querySelector("[data-secret]:not([data-kept]) #secret") !== null;
}

/** How to find a link or button again. */
function mark(element) {
  for (const name of ["href", "popovertarget", "data-needs-tick"]) {
    if (element?.hasAttribute(name)) return `[${name}="${CSS.escape(element.getAttribute(name))}"]`;
  }
  return "";
}

/** Read the page below anew, with what there is to tell. */
function again(notice) {
  sessionStorage.setItem(FOCUS, opener);
  const address = new URL(location.href);
  if (notice) address.searchParams.set("notice", notice);
  if (address.href === location.href) location.reload();
  else location.replace(address);
}

const before = sessionStorage.getItem(FOCUS);
sessionStorage.removeItem(FOCUS);
if (before !== null && !document.getElementById("notice")) {
  (before && document.querySelector(before) ? document.querySelector(before) : document.querySelector("main h1")).focus();
}

addEventListener("beforeunload", (event) => {
  if (unkept()) event.preventDefault(); // the browser asks
});

// A page that is kept for the way back must not hold a secret.
addEventListener("pagehide", () => {
  for (const secret of document.querySelectorAll("[data-secret]")) secret.replaceChildren();
});
