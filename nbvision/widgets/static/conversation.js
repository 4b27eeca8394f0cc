// A conversation: what was said, what is being said, and what comes next.

import { h, hide, labelled, showPicture, switchOff, uniqueId } from "./channel.js";
import { answerView, askAgainView } from "./answer.js";
import { fillModels } from "./model_menu.js";
import { openUploads } from "./uploading.js";

export function conversationView({ channel, root, signal }) {
  const thumbnails = new Map(); // by the picture's number; they come once
  let maxBytes = Infinity;
  let drawn = "[]"; // the turns on show
  let stored = ""; // since when the last answer is stored, in words

  const said = h("ol", { class: "nbv-turns", "aria-label": "Conversation" });
  const asked = h("div", { class: "nbv-turn", hidden: true });
  const empty = h("p", { class: "nbv-note" }, "Drop or paste pictures here, and ask about them.");
  const waiting = h("ul", { class: "nbv-waiting", "aria-label": "Pictures for the next turn" });
  const prompt = h("textarea", { rows: 2, id: uniqueId("say") });
  const promptLabel = h("label", { for: prompt.id }, "Say (Enter asks, Shift+Enter starts a new line)");
  const model = h("select");
  const answerer = h("span", { class: "nbv-note" });
  const system = h("p", { class: "nbv-note", hidden: true });
  const apart = h("p", { class: "nbv-note", hidden: true }, "Stopped; not part of the conversation:");
  const summary = h("span", { class: "nbv-note nbv-grow" });

  const ask = () => {
    if (prompt.value.trim()) channel.ask("ask", { prompt: prompt.value, model: model.value });
    else {
      answer.note.textContent = "say something first";
      prompt.focus();
    }
  };
  const go = h("button", { type: "button", class: "nbv-main", onclick: ask }, "Ask");
  const answer = answerView({
    channel,
    go,
    ask,
    stop: () => channel.ask("stop"),
    sync: () => channel.ask("sync"),
    signal,
  });
  const undo = h(
    "button",
    { type: "button", class: "nbv-quiet", onclick: () => channel.ask("undo") },
    "Take back the last turn",
  );
  const again = askAgainView(() => channel.ask("ask_again"), prompt);
  answer.asksOnEnter(prompt);

  const uploads = openUploads({ channel, signal, maxBytes: () => maxBytes });
  uploads.acceptFrom(root);
  root.classList.add("nbv-conversation");

  function thumbnail({ number, name, size, is_remote }, label) {
    // The service fetches it; this page does not, and shows where it is.
    if (is_remote) return h("span", { class: "nbv-remote", title: `${label}: ${name}` }, `at ${name}`);
    const image = h("img", { alt: `${label}: ${name}, ${size} px`, title: name });
    image.dataset.number = number;
    if (thumbnails.has(number)) showPicture(image, thumbnails.get(number));
    return image;
  }

  const words = (who, text) => h("p", { class: "nbv-spoken" }, h("b", {}, who), text);

  function strip(pictures, first) {
    if (!pictures.length) return null;
    return h(
      "div",
      { class: "nbv-pictures" },
      ...pictures.map((picture, index) => {
        const label = `Image ${first + index}`;
        return h("figure", {}, thumbnail(picture, label), h("figcaption", {}, label));
      }),
    );
  }

  // What was said does not change: only the turns after those on show are drawn.
  const shownOf = (turns) => JSON.stringify(turns.map((turn) => [turn.prompt, turn.text, turn.summary]));
  function showTurns(turns) {
    const known = shownOf(turns.slice(0, said.children.length));
    if (known !== drawn) said.replaceChildren();
    said.append(
      ...turns.slice(said.children.length).map((turn) =>
        h(
          "li",
          { class: "nbv-turn" },
          strip(turn.pictures, turn.first),
          words("You", turn.prompt),
          words(turn.model, turn.text),
          h("p", { class: "nbv-note" }, turn.summary),
        ),
      ),
    );
    drawn = shownOf(turns);
  }

  channel.on("state", (state) => {
    maxBytes = state.max_bytes;
    showTurns(state.turns);
    const isAsking = state.run?.state === "asking";
    asked.replaceChildren(
      ...[strip(state.asked.pictures, state.first), words("You", state.asked.prompt)].filter(Boolean),
    );
    asked.hidden = !isAsking;
    empty.hidden = state.turns.length > 0 || state.waiting.length > 0 || isAsking;
    const next = state.first + state.asked.pictures.length;
    waiting.replaceChildren(
      ...state.waiting.map((picture, index) =>
        h(
          "li",
          {},
          thumbnail(picture, `Image ${next + index}`),
          h(
            "button",
            {
              type: "button",
              "aria-label": `Remove ${picture.name}`,
              onclick: () => channel.ask("remove", { number: picture.number }),
            },
            "×",
          ),
        ),
      ),
    );
    waiting.hidden = !state.waiting.length;
    fillModels(model, state.models, state.model);
    model.disabled = state.turns.length > 0 || isAsking;
    answerer.textContent = state.answerer;
    system.hidden = !state.system;
    system.textContent = `System prompt: ${state.system}`;
    summary.textContent = state.summary;
    hide(undo, !state.turns.length, prompt);
    switchOff(undo, isAsking);
    again.show(isAsking ? null : state.again);
    apart.hidden = !(state.run?.state === "stopped" && state.run.text);
    stored = state.turns.at(-1)?.stored;
    showRun(state.run);
  });

  function showRun(run) {
    const ended = [`answered, turn ${said.children.length}`, stored];
    answer.show(run, "", ended.filter(Boolean).join("; "));
    switchOff(go, answer.isAsking());
  }
  channel.on("run", (run) => {
    if (run.state === "asking" && run.text === "") prompt.value = "";
    showRun(run);
  });
  channel.on("text", answer.add);
  // Words that were not answered come back to be asked again.
  channel.on("words", (message) => {
    if (!prompt.value) prompt.value = message.prompt;
  });
  channel.on("picture", ({ number }, [buffer]) => {
    thumbnails.set(number, buffer);
    for (const image of root.querySelectorAll(`img[data-number="${Number(number)}"]`))
      if (!image.getAttribute("src")) showPicture(image, buffer);
  });

  root.append(
    h("div", { class: "nbv-drop", "aria-hidden": "true" }, "Drop pictures here"),
    h("div", { class: "nbv-row" }, labelled("Model", model), answerer),
    system,
    said,
    asked,
    apart,
    answer.words,
    answer.failure,
    again.place,
    empty,
    waiting,
    uploads.list,
    h("div", {}, promptLabel, prompt),
    h("div", { class: "nbv-row" }, go, answer.stopper, answer.note, answer.clock, uploads.input("Add pictures"), undo, summary),
  );
}
