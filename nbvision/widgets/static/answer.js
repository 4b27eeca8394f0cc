// An answer as it comes: words in a log, a line about the wait, a way to stop and to copy.

import { errorWords, h } from "./channel.js";

// Copy text; where a page may not, select it so that Ctrl+C does.
async function copyWords(element) {
  try {
    await navigator.clipboard.writeText(element.textContent);
    return "copied";
  } catch {
    getSelection().selectAllChildren(element);
    return "selected: copy it with Ctrl+C or ⌘C";
  }
}

// Returns the elements and what keeps them true. `ask` asks (again), `stop` stops, `sync` asks
// for everything when a piece was missed.
export function answerView({ ask, stop, sync, signal }) {
  const note = h("span", { class: "nbv-note", role: "status" });
  const words = h("div", {
    class: "nbv-answer",
    role: "log",
    tabindex: "0",
    "aria-label": "Answer",
    hidden: true,
  });
  const value = h("div");
  const cure = h("div", { class: "nbv-cure" });
  const retry = h("button", { type: "button", onclick: ask }, "Try again");
  const failure = h(
    "div",
    { class: "nbv-error", role: "alert", hidden: true },
    h("div", {}, value, cure),
    retry,
  );
  const copied = h("span", { class: "nbv-note", role: "status" });
  const copy = h(
    "button",
    { type: "button", onclick: async () => (copied.textContent = await copyWords(words)) },
    "Copy",
  );
  const summary = h("span", { class: "nbv-note" });
  const foot = h("div", { class: "nbv-row", hidden: true }, copy, copied, summary);
  const stopper = h("button", { type: "button", hidden: true, onclick: stop }, "Stop");

  // Enter asks and Shift+Enter starts a new line, in a field for words.
  function asksOnEnter(field) {
    field.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      if (shown.state !== "asking") ask();
    });
  }

  let shown = { run: 0, state: "" };
  let length = 0;
  let begun = 0;
  let isBehind = false; // a piece was missed, and the whole has been asked for
  const text = document.createTextNode("");
  words.append(text);

  const tick = () => {
    if (shown.state !== "asking") return;
    const seconds = Math.round((Date.now() - begun) / 1000);
    note.textContent = [shown.note, seconds > 1 ? `${seconds} s` : ""].filter(Boolean).join(" · ");
  };
  const timer = setInterval(tick, 1000);
  signal.addEventListener("abort", () => clearInterval(timer));

  // Show a run as it stands; null when nothing has been asked.
  function show(run, line = "") {
    const isNew = run && run.run !== shown.run;
    shown = run ?? { run: 0, state: "" };
    const asking = shown.state === "asking";
    if (run && (isNew || !asking)) begun = Date.now() - run.seconds * 1000;
    text.data = shown.text ?? "";
    isBehind = false;
    length = [...text.data].length;
    words.hidden = length === 0 && !asking; // a log is announced only if it was there before
    words.setAttribute("aria-busy", String(asking));
    stopper.hidden = !asking;
    note.textContent = asking ? shown.note : shown.state === "stopped" ? shown.note : "";
    failure.hidden = shown.state !== "failed";
    if (shown.error) {
      value.textContent = errorWords(shown.error);
      cure.textContent = shown.error.cure ? `→ ${shown.error.cure}` : "";
    }
    foot.hidden = asking || length === 0;
    summary.textContent = line;
    if (isNew) copied.textContent = "";
  }

  // Add a piece that belongs at an offset, counted in characters.
  function add({ run, offset, piece }) {
    if (run !== shown.run || shown.state !== "asking") return;
    if (offset !== length) {
      if (offset > length && !isBehind) sync();
      isBehind = true;
      return;
    }
    const isAtEnd = words.scrollTop + words.clientHeight >= words.scrollHeight - 8;
    shown.note = "";
    words.hidden = false;
    text.appendData(piece);
    length += [...piece].length;
    if (isAtEnd) words.scrollTop = words.scrollHeight;
    tick();
  }
  const isAsking = () => shown.state === "asking";
  return { note, words, failure, foot, stopper, show, add, isAsking, asksOnEnter };
}
