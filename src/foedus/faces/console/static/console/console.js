// Follows the page that is shown. Without this file, or where it cannot run, a page is what it was when it was loaded.
"use strict";

(() => {
  const address = document.body.dataset.live;
  const main = document.querySelector("main");
  const state = document.getElementById("state");
  const pause = document.getElementById("pause");
  if (!address || !window.EventSource) return;

  let source = null;
  let waiting = null; // what came while somebody was busy in the page

  const say = (text) => {
    if (state.textContent !== text) state.textContent = text;
  };

  const isBusy = () => {
    const selection = document.getSelection();
    return selection && !selection.isCollapsed && main.contains(selection.anchorNode);
  };

  const show = (html) => {
    if (isBusy()) {
      waiting = html;
      return;
    }
    waiting = null;
    const open = [...main.querySelectorAll("details[open]")].map((each) => each.id);
    const active = document.activeElement;
    const places = [...main.querySelectorAll("a, summary, [tabindex]")];
    const place = main.contains(active) ? places.indexOf(active) : -1;
    const scrolled = [...main.querySelectorAll(".wide")].map((each) => each.scrollLeft);
    main.innerHTML = html; // the server has escaped what others wrote
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
    main.querySelectorAll(".wide").forEach((each, number) => { each.scrollLeft = scrolled[number] ?? 0; });
    if (place >= 0) main.querySelectorAll("a, summary, [tabindex]")[place]?.focus({ preventScroll: true });
  };

  const follow = () => {
    source = new EventSource(address);
    source.onopen = () => say("Live");
    source.onerror = () => say("Not connected; trying again");
    source.addEventListener("page", (event) => show(JSON.parse(event.data)));
    source.addEventListener("gone", () => {
      source.close();
      say("This page has ended; load it again");
    });
  };

  pause.hidden = false;
  pause.addEventListener("click", () => {
    const paused = pause.getAttribute("aria-pressed") !== "true";
    pause.setAttribute("aria-pressed", String(paused));
    if (paused) {
      source.close();
      say("Paused");
    } else {
      follow();
    }
  });
  document.addEventListener("selectionchange", () => {
    if (waiting !== null) show(waiting);
  });
  window.addEventListener("pagehide", () => source.close());
  window.addEventListener("pageshow", (event) => { if (event.persisted) follow(); });
  follow();
})();
