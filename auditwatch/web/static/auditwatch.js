// Fetches the page every few seconds and swaps its middle when it has changed. Without JavaScript the page reloads itself.
"use strict";

const EVERY_MS = 3000;
const SILENT_MS = 15000;
let tag = null;
let answered = Date.now();

function swap(text) {
  const next = new DOMParser().parseFromString(text, "text/html");
  for (const id of ["page", "asof"]) {
    document.getElementById(id).replaceWith(document.adoptNode(next.getElementById(id)));
  }
  document.title = next.title;
}

// A selection means that somebody is copying an id: leave it alone.
function isSelecting() {
  const selection = document.getSelection();
  return selection !== null && !selection.isCollapsed;
}

async function look() {
  const headers = tag === null ? {} : { "If-None-Match": tag };
  const answer = await fetch(document.location.pathname, { headers, cache: "no-store" });
  if (answer.status === 200 && !isSelecting()) {
    swap(await answer.text());
    tag = answer.headers.get("ETag");
  }
  if (answer.status !== 200 && answer.status !== 304) throw new Error(String(answer.status));
  answered = Date.now();
  document.body.classList.remove("silent");
}

function complain() {
  if (Date.now() - answered < SILENT_MS) return;
  document.body.classList.add("silent");
  document.getElementById("asof").textContent =
    "no answer from the agent since " + new Date(answered).toISOString().slice(0, 19) + "Z";
}

async function again() {
  if (!document.hidden) await look().catch(complain);
  setTimeout(again, EVERY_MS);
}

setTimeout(again, EVERY_MS);
document.addEventListener("visibilitychange", () => { if (!document.hidden) look().catch(complain); });
