// Ask about pictures: a form over describe, compare and locate.

import { debounced, h, hasFocus, labelled, showPicture, switchOff, uniqueId } from "./channel.js";
import { answerView, askAgainView } from "./answer.js";
import { boxColour, hasDarkSeam, svgElement } from "./colours.js";
import { fillModels } from "./model_menu.js";

const ASK_TASKS = [
  ["describe", "Describe", "Prompt"],
  ["compare", "Compare", "Prompt"],
  ["locate", "Locate", "What to find"],
];

// Draw boxes over a picture that shows this region, all in original pixels.
function askBoxes(overlay, boxes, [left, top, right, bottom]) {
  overlay.setAttribute("viewBox", `${left} ${top} ${right - left} ${bottom - top}`);
  overlay.replaceChildren(
    ...boxes.flatMap(([x, y, right, bottom], index) => {
      const colour = boxColour(index + 1);
      const place = { x, y, width: right - x, height: bottom - y, fill: "none" };
      const line = { ...place, "vector-effect": "non-scaling-stroke" };
      const seam = { stroke: hasDarkSeam(colour) ? "#000" : "#fff", "stroke-opacity": 0.55 };
      return [
        svgElement("rect", { ...line, ...seam, "stroke-width": 5 }),
        svgElement("rect", { ...line, stroke: colour, "stroke-width": 2.5 }),
      ];
    }),
  );
}

export function askPanelView({ channel, root, signal }) {
  let task = "describe";
  let region = [0, 0, 1, 1];
  let defaults = {};
  let boxes = [];
  let isLocating = false;
  let isBelow = false; // the finished result stands in an output of its own

  const prompt = h("textarea", { rows: 2, id: uniqueId("prompt") });
  const promptLabel = h("label", { for: prompt.id });
  const system = h("textarea", { rows: 2 });
  const model = h("select");
  const effort = h("select");
  const answerer = h("p", { class: "nbv-note" });
  const estimate = h("span", { class: "nbv-note nbv-grow" });
  const notes = h("ul", { class: "nbv-ask-notes nbv-note", hidden: true });
  const strip = h("div", { class: "nbv-ask-strip" });
  const picture = h("img", { alt: "" });
  const overlay = svgElement("svg", { "aria-hidden": "true" });
  const found = h("ol", { class: "nbv-ask-found" });
  const figure = h(
    "div",
    { class: "nbv-ask-figure", hidden: true },
    h("div", { class: "nbv-ask-picture" }, picture, overlay),
    found,
  );

  const fields = () => ({
    task,
    prompt: prompt.value,
    system: system.value,
    model: model.value,
    effort: effort.value,
  });
  const ask = () => {
    fresh = {};
    if (task === "locate" && !prompt.value.trim()) {
      answer.note.textContent = "say what to find";
      prompt.focus();
    } else channel.ask("ask", fields());
  };
  const go = h("button", { type: "button", class: "nbv-main", onclick: ask }, "Ask");
  const answer = answerView({
    channel,
    go,
    ask,
    copied: () => (isLocating && !found.closest("[hidden]") ? found : null),
    stop: () => channel.ask("stop"),
    sync: () => channel.ask("sync"),
    signal,
  });
  const again = askAgainView(() => channel.ask("ask_again"), go);
  answer.foot.append(again.place);
  // Only what a person has changed is sent: the rest may have been set from Python since.
  let fresh = {};
  const sendFresh = () => {
    channel.ask("settings", fresh);
    fresh = {};
  };
  const sendFreshSoon = debounced(300, sendFresh);
  const changed = (name, send) => {
    fresh[name] = fields()[name];
    send();
  };

  const tasks = ASK_TASKS.map(([name, words]) =>
    h(
      "button",
      {
        type: "button",
        "aria-pressed": "false",
        onclick: () => {
          task = name;
          showTask();
          changed("task", sendFresh);
        },
      },
      words,
    ),
  );
  const taskGroup = h("span", { class: "nbv-group", role: "group", "aria-label": "Task" }, ...tasks);

  prompt.addEventListener("input", () => changed("prompt", sendFreshSoon));
  system.addEventListener("input", () => changed("system", sendFreshSoon));
  model.addEventListener("change", () => changed("model", sendFresh));
  effort.addEventListener("change", () => changed("effort", sendFresh));
  answer.asksOnEnter(prompt);

  root.append(
    h("div", { class: "nbv-row" }, taskGroup, answerer),
    strip,
    h("div", {}, promptLabel, prompt),
    h(
      "details",
      {},
      h("summary", {}, "Model and options"),
      h("div", { class: "nbv-row" }, labelled("Model", model), labelled("Effort", effort)),
      labelled("System prompt", system),
    ),
    h("div", { class: "nbv-row" }, go, answer.stopper, answer.note, answer.clock, estimate),
    notes,
    figure,
    answer.words,
    answer.failure,
    answer.foot,
  );

  function showTask() {
    tasks.forEach((button, index) =>
      button.setAttribute("aria-pressed", String(ASK_TASKS[index][0] === task)),
    );
    const [, , label] = ASK_TASKS.find(([name]) => name === task);
    promptLabel.textContent = `${label} (Enter asks, Shift+Enter starts a new line)`;
    prompt.placeholder = defaults[task] ?? "";
    showBoxes();
  }

  function showBoxes() {
    figure.hidden = isBelow || task !== "locate" || !picture.getAttribute("src") || !boxes.length;
    askBoxes(overlay, boxes, region);
    found.replaceChildren(
      ...boxes.map(([left, top, right, bottom, label], index) => {
        const edges = [left, top, right, bottom].map(Math.round).join(", ");
        const item = h("li", {}, h("b", {}, label || "no label"), ` ${edges}`);
        item.style.setProperty("--nbv-mark", boxColour(index + 1));
        return item;
      }),
    );
  }

  // What a person is typing is newer than what the kernel says.
  function fill(control, value) {
    if (!hasFocus(control)) control.value = value;
  }

  channel.on("state", (state) => {
    task = state.task;
    defaults = state.defaults;
    fill(prompt, state.prompt);
    fill(system, state.system);
    fillModels(model, state.models, state.model);
    if (!effort.options.length)
      effort.append(
        ...state.efforts.map((name) => h("option", { value: name }, name || "the model's own")),
      );
    effort.value = state.effort;
    answerer.textContent = state.answerer;
    estimate.textContent = state.estimate.words;
    notes.replaceChildren(...state.estimate.notes.map((words) => h("li", {}, words)));
    notes.hidden = !state.estimate.notes.length;
    if (!state.run || state.run.state !== "asking") boxes = state.boxes;
    isBelow = state.is_below;
    const places = [state.summary, isBelow && state.summary && "the answer stands below"];
    isLocating = state.run?.task === "locate";
    again.show(state.again);
    showRun(state.run, places.filter(Boolean).join(" · "), state.spoken);
    showTask();
  });

  function showRun(run, summary, spoken) {
    answer.show(run, summary, spoken);
    // Boxes are shown as boxes; the words that say them are for a program.
    if (isLocating ? run?.state !== "failed" : isBelow && !answer.isAsking())
      answer.words.hidden = true;
    switchOff(go, answer.isAsking());
    estimate.hidden = answer.isAsking();
  }
  channel.on("run", (run) => {
    if (run.text === "") boxes = [];
    isBelow = false;
    isLocating = run.task === "locate";
    showRun(run);
    showBoxes();
  });
  channel.on("text", (piece) => {
    answer.add(piece);
    if (isLocating) answer.words.hidden = true;
  });
  channel.on("boxes", (message) => {
    boxes = message.boxes;
    showBoxes();
  });
  channel.on("pictures", (message, buffers) => {
    region = message.region;
    strip.replaceChildren(
      ...message.pictures.map(({ name, size: words }, index) => {
        const image = h("img", { alt: `Image ${index + 1}: ${name}, ${words} px`, title: name });
        showPicture(image, buffers[index]);
        return image;
      }),
    );
    const more = message.count - message.pictures.length;
    if (more > 0) strip.append(h("span", { class: "nbv-note" }, `and ${more} more`));
    if (buffers.length > message.pictures.length) {
      picture.alt = `${message.pictures[0].name} with the boxes that are listed`;
      showPicture(picture, buffers[buffers.length - 1]);
    } else picture.removeAttribute("src");
    showBoxes();
  });
}
