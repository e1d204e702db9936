// What is live: one event stream for all tabs of a browser, and what its events change on a page; and the keys.
"use strict";

const base = document.documentElement.dataset.base;
const list = document.querySelector(".live");
const channel = new BroadcastChannel("enrolld" + base);
const part = (name) => document.querySelector(`[data-live="${name}"]`);
// The number of the last change that this page has or knows to be missing.
let last = list ? Number(list.dataset.head) : null;
let held = [];
let hasGap = false;
let isPaused = false;
let stop = null;

function state(text) {
  const line = document.getElementById("live-state");
  line.textContent = text;
  line.hidden = text === "";
}

// Adds changes at the top, unless that would move what somebody is about to click.
function add(entries) {
  const feed = list.querySelector(".feed");
  for (const html of entries) {
    const entry = document.createElement("template");
    entry.innerHTML = html;
    entry.content.firstElementChild?.classList.add("new");
    feed.prepend(entry.content);
  }
  while (feed.children.length > 200) feed.lastElementChild.remove();
}

function show() {
  const button = part("show");
  const isInUse = list.querySelector(".feed").matches(":hover, :focus-within");
  if (held.length > 0 && !isPaused && !isInUse && !hasGap) {
    add(held);
    held = [];
  }
  button.hidden = held.length === 0 && !hasGap;
  button.textContent = hasGap ? "Load newer" : `Show ${held.length} newer`;
}

function changed(seq, html) {
  if (!list || seq <= last) return;
  hasGap ||= seq > last + 1;
  last = seq;
  held.push(html);
  if (held.length > 200) hasGap = true;
  const entry = document.createElement("template");
  entry.innerHTML = html;
  if (!isPaused) part("news").textContent = entry.content.textContent.trim();
  show();
}

// Parts of the page that a change may have made old are asked for again, unless somebody is in them.
let isAsked = false;
function refresh() {
  const parts = document.querySelectorAll("[data-fresh]");
  if (isAsked || isPaused || document.hidden || parts.length === 0) return;
  isAsked = true;
  setTimeout(async () => {
    isAsked = false;
    try {
      const answer = await fetch(location.href, { headers: { "x-by-itself": "yes" } });
      if (!answer.ok) return;
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const part of parts) {
        const name = part.getAttribute("aria-labelledby");
        const newer = fresh.querySelector(`[data-fresh][aria-labelledby="${name}"]`);
        if (newer && !part.matches(":hover, :focus-within")) part.replaceChildren(...newer.childNodes);
      }
    } catch {
      // The stream says that the console does not answer.
    }
  }, 300);
}

const take = {
  change: (event) => {
    changed(event.seq, event.data);
    refresh();
  },
  away: (event) => state(`The daemon is away: ${event.data}`),
  back: () => state(""),
  refused: (event) => {
    if (!list) return;
    part("newer").hidden = false;
    state(`Changes are not shown live: ${event.data}`);
  },
  ended: () => {
    state("The session has ended: it was not used for a while, or its command has ended. Start enrollctl console again.");
    for (const button of document.querySelectorAll("form[method=post] button")) button.disabled = true;
    stop?.();
  },
};

// The tab that holds the lock has the stream and tells the others.
function lead() {
  if (stop || document.hidden) return;
  const wish = new AbortController();
  stop = () => {
    stop = null;
    wish.abort();
  };
  const begin = () =>
    new Promise((done) => {
      if (wish.signal.aborted) return done();
      const source = new EventSource(base + "/live" + (last === null ? "" : "?since=" + last));
      for (const name of Object.keys(take)) {
        source.addEventListener(name, ({ data, lastEventId }) => {
          const event = { name, data, seq: Number(lastEventId) };
          channel.postMessage(event);
          take[name](event);
        });
      }
      source.addEventListener("open", () => state(""));
      source.addEventListener("error", () => state("The console does not answer. It ends with its command, and when it is not used."));
      wish.signal.addEventListener("abort", () => {
        source.close();
        done();
      });
    });
  navigator.locks.request("enrolld" + base, { signal: wish.signal }, begin).catch(() => {});
}

channel.addEventListener("message", ({ data }) => take[data.name](data));
// Hidden tabs let go, so that a visible one can lead.
document.addEventListener("visibilitychange", () => (document.hidden ? stop?.() : lead()));
addEventListener("pagehide", () => stop?.());
addEventListener("pageshow", lead);

if (list) {
  const pause = part("pause");
  pause.hidden = false;
  part("newer").hidden = true;
  pause.addEventListener("click", () => {
    isPaused = !isPaused;
    pause.setAttribute("aria-pressed", String(isPaused));
    show();
  });
  part("show").addEventListener("click", () => {
    if (hasGap) return location.reload();
    add(held);
    held = [];
    show();
  });
  list.querySelector(".feed").addEventListener("mouseleave", show);
  list.querySelector(".feed").addEventListener("focusout", () => setTimeout(show));
}

// A search as one types: what was found is asked for after a short rest, and the address keeps the filter.
for (const form of document.querySelectorAll("form[data-search]")) {
  const found = document.getElementById(form.dataset.found);
  let rest = null;
  let asked = null;
  const search = async () => {
    asked?.abort();
    asked = new AbortController();
    const filled = [...new FormData(form)].filter(([, value]) => value !== "");
    const query = new URLSearchParams(filled).toString();
    try {
      const answer = await fetch(form.dataset.search + (query && "?" + query), { signal: asked.signal });
      if (!answer.ok) return;
      found.innerHTML = await answer.text();
      history.replaceState(null, "", form.action + (query && "?" + query));
    } catch {
      // A later search has taken its place, or the console is away; the button still asks for a whole page.
    }
  };
  form.addEventListener("input", () => {
    clearTimeout(rest);
    rest = setTimeout(search, 120);
  });
}

// Keys: a letter does something only outside of fields, and nothing where they are turned off (localStorage).
const keysOff = "enrolld-keys-off";
let isGoing = false;

function say(text) {
  document.getElementById("key-state").textContent = text;
}

// The switch is shown where there is something to turn off.
function showSwitch(place) {
  const part = place.querySelector("[data-keys-switch]");
  if (!part) return;
  part.hidden = false;
  const box = part.querySelector("input");
  box.checked = !localStorage.getItem(keysOff);
  box.addEventListener("change", () => {
    if (box.checked) localStorage.removeItem(keysOff);
    else localStorage.setItem(keysOff, "yes");
    say(box.checked ? "Keys are on" : "Keys are off");
  });
}

async function listKeys() {
  const link = document.getElementById("keyboard");
  if (!link || document.querySelector("dialog, dl.keys")) return;
  const dialog = document.createElement("dialog");
  try {
    const answer = await fetch(link.href, { headers: { "x-by-itself": "yes" } });
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    dialog.append(...page.querySelector("main").childNodes);
  } catch {
    return;
  }
  dialog.setAttribute("aria-labelledby", "keys-title");
  const close = document.createElement("button");
  close.textContent = "Close";
  close.addEventListener("click", () => dialog.close());
  dialog.append(close);
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  showSwitch(dialog);
  dialog.showModal();
}

const keys = {
  "?": listKeys,
  "/": () => {
    const field = document.querySelector("form[role=search] :is(input, select)");
    if (field) field.focus();
    else location.assign(base + "/people#prefix");
  },
  n: () => document.querySelector("main a[rel=next]")?.click(),
  g: () => {
    isGoing = true;
    say("Go to: a letter of a page");
  },
};

addEventListener("keydown", (event) => {
  const isTyped = event.target.closest?.("select, textarea, [contenteditable], input:not([type=checkbox], [type=radio])");
  const isOurs = !event.ctrlKey && !event.altKey && !event.metaKey && !event.isComposing && !event.repeat;
  if (isTyped || !isOurs || document.querySelector("dialog") || localStorage.getItem(keysOff)) return;
  if (event.key === "Shift") return;
  const leads = isGoing && document.querySelector(`nav a[data-key="${CSS.escape(event.key)}"]`);
  const act = isGoing ? leads && (() => leads.click()) : keys[event.key];
  isGoing = false;
  say("");
  if (!act) return;
  event.preventDefault();
  act();
});
showSwitch(document);
if (location.hash === "#prefix") document.getElementById("prefix")?.focus();
