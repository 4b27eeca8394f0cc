// An answer as it comes: words in a log, a line about the wait, a way to stop and to copy.

import { errorWords, h, hide, uniqueId } from "./channel.js";

// Copy text; where a page may not, select it so that Ctrl+C does.
async function copyWords(element, text) {
  try {
    await navigator.clipboard.writeText(text);
    return "copied";
  } catch {
    getSelection().selectAllChildren(element);
    return "selected: copy it with Ctrl+C or ⌘C";
  }
}

// A button that asks anew what was answered from what is stored, and what that costs; `instead`
// is where a person goes when it is gone.
export function askAgainView(again, instead) {
  const price = h("span", { class: "nbv-note", id: uniqueId("price") });
  const button = h(
    "button",
    { type: "button", "aria-describedby": price.id, onclick: again },
    "Ask again",
  );
  const place = h("span", { class: "nbv-row", hidden: true }, button, price);
  const show = (words) => {
    hide(place, !words, instead);
    price.textContent = words || "";
  };
  return { place, show };
}

// Returns the elements and what keeps them true. `ask` asks (again), `stop` stops, `sync` asks
// for everything when a piece was missed, and `go` is the button that asks.
export function answerView({ channel, ask, stop, sync, go, signal, copied: listed = () => null }) {
  const note = h("span", { class: "nbv-note", role: "status" });
  const clock = h("span", { class: "nbv-note", "aria-hidden": "true" });
  const words = h("div", {
    class: "nbv-answer",
    role: "log",
    tabindex: "0",
    "aria-label": "Answer",
    hidden: true,
  });
  const value = h("div");
  const cure = h("div");
  const means = h("div", { class: "nbv-note" }); // what trying again means for the money
  const retry = h("button", { type: "button", onclick: ask }, "Try again");
  const failure = h(
    "div",
    { class: "nbv-error", hidden: true },
    h("div", { role: "alert" }, value, cure, means),
    retry,
  );
  const copied = h("span", { class: "nbv-note", role: "status" });
  const copy = h(
    "button",
    { type: "button", onclick: async () => (copied.textContent = await copyWords(...whatToCopy())) },
    "Copy",
  );
  const whatToCopy = () => {
    const list = listed();
    return list ? [list, list.innerText] : [words, words.textContent];
  };
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
    const seconds = Math.round((Date.now() - begun) / 1000);
    clock.textContent = shown.state === "asking" && seconds > 1 ? `${seconds} s` : "";
  };
  const timer = setInterval(tick, 1000);
  signal.addEventListener("abort", () => clearInterval(timer));

  // Show a run as it stands, with a line below it; null when nothing has been asked.
  // `ended` is what is said when the answer is whole.
  function show(run, line = "", ended = "answered") {
    const isNew = run && run.run !== shown.run;
    const wasAsking = shown.state === "asking";
    shown = run ?? { run: 0, state: "" };
    const asking = shown.state === "asking";
    if (run && (isNew || !asking)) begun = Date.now() - run.seconds * 1000;
    text.data = shown.text ?? "";
    isBehind = false;
    length = [...text.data].length;
    words.hidden = length === 0 && !asking; // a log is announced only if it was there before
    words.classList.toggle("nbv-coming", asking);
    if (shown.state === "failed") note.textContent = "";
    else if (asking || shown.state === "stopped") note.textContent = shown.note;
    else if (wasAsking) note.textContent = ended;
    else if (isNew) note.textContent = "";
    if (shown.error) {
      value.textContent = errorWords(shown.error);
      cure.textContent = shown.error.cure ? `→ ${shown.error.cure}` : "";
      means.textContent = shown.retry ?? "";
    }
    showControls();
    summary.textContent = line;
    if (isNew) copied.textContent = "";
  }

  function showControls() {
    const asking = shown.state === "asking";
    hide(stopper, !asking, go);
    hide(failure, shown.state !== "failed", go);
    hide(foot, asking || length === 0, go);
    tick();
  }

  // The kernel is silent: it may be another one by now, which knows nothing of the question.
  channel.onSilence(() => {
    if (shown.state !== "asking") return;
    shown = { ...shown, state: "lost" };
    words.classList.remove("nbv-coming");
    note.textContent = "the kernel has not answered; what had arrived is kept";
    showControls();
    go.setAttribute("aria-disabled", "false");
  });

  // Add a piece that belongs at an offset, counted in characters.
  function add({ run, offset, piece }) {
    if (run === shown.run && shown.state === "lost") sync();
    if (run !== shown.run || shown.state !== "asking") return;
    if (offset !== length) {
      if (offset > length && !isBehind) sync();
      isBehind = true;
      return;
    }
    const isAtEnd = words.scrollTop + words.clientHeight >= words.scrollHeight - 8;
    note.textContent = "";
    words.hidden = false;
    text.appendData(piece);
    length += [...piece].length;
    if (isAtEnd) words.scrollTop = words.scrollHeight;
    tick();
  }
  const isAsking = () => shown.state === "asking";
  return { note, clock, words, failure, foot, stopper, show, add, isAsking, asksOnEnter };
}
