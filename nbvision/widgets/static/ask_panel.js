// Ask about pictures: a form over describe, compare and locate.

import { debounced, h, labelled, showPicture, uniqueId } from "./channel.js";
import { answerView } from "./answer.js";
import { fillModels } from "./model_menu.js";

const ASK_TASKS = [
  ["describe", "Describe", "Prompt", "Describe this image."],
  ["compare", "Compare", "Prompt", "How are these images different?"],
  ["locate", "Locate", "What to find", "every window"],
];
const ASK_COLOURS = ["#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7"];
const ASK_SVG = "http://www.w3.org/2000/svg";

function askSvg(tag, attributes) {
  const element = document.createElementNS(ASK_SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

// Draw numbered boxes over a picture of this size, in its own pixels.
function askBoxes(svg, boxes, [width, height]) {
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.replaceChildren(
    ...boxes.flatMap(([left, top, right, bottom], index) => {
      const colour = ASK_COLOURS[index % ASK_COLOURS.length];
      const place = { x: left, y: top, width: right - left, height: bottom - top, fill: "none" };
      const line = { "vector-effect": "non-scaling-stroke" };
      return [
        askSvg("rect", { ...place, ...line, stroke: "#000", "stroke-opacity": 0.45, "stroke-width": 5 }),
        askSvg("rect", { ...place, ...line, stroke: colour, "stroke-width": 2.5 }),
      ];
    }),
  );
}

export function askPanelView({ channel, root, signal }) {
  let task = "describe";
  let size = [1, 1];
  let boxes = [];
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
  const overlay = askSvg("svg", { "aria-hidden": "true" });
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
  const ask = () => channel.ask("ask", fields());
  const answer = answerView({
    ask,
    stop: () => channel.ask("stop"),
    sync: () => channel.ask("hello"),
    signal,
  });
  const changed = () => channel.ask("settings", fields());
  const changedSoon = debounced(300, changed);
  const go = h("button", { type: "button", class: "nbv-main", onclick: ask }, "Ask");

  const tasks = ASK_TASKS.map(([name, words]) =>
    h(
      "button",
      {
        type: "button",
        "aria-pressed": "false",
        onclick: () => {
          task = name;
          showTask();
          changed();
        },
      },
      words,
    ),
  );
  const taskGroup = h("span", { class: "nbv-group", role: "group", "aria-label": "Task" }, ...tasks);

  prompt.addEventListener("input", changedSoon);
  system.addEventListener("input", changedSoon);
  model.addEventListener("change", changed);
  effort.addEventListener("change", changed);
  prompt.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    if (!answer.isAsking()) ask();
  });

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
    h("div", { class: "nbv-row" }, go, answer.stopper, answer.note, estimate),
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
    const [, , label, placeholder] = ASK_TASKS.find(([name]) => name === task);
    promptLabel.textContent = `${label} (Enter asks, Shift+Enter starts a new line)`;
    prompt.placeholder = placeholder;
    showBoxes();
  }

  function showBoxes() {
    figure.hidden = isBelow || task !== "locate" || !picture.getAttribute("src") || !boxes.length;
    askBoxes(overlay, boxes, size);
    found.replaceChildren(
      ...boxes.map(([left, top, right, bottom, label], index) => {
        const edges = [left, top, right, bottom].map(Math.round).join(", ");
        const item = h("li", {}, h("b", {}, label || "no label"), ` ${edges}`);
        item.style.setProperty("--nbv-mark", ASK_COLOURS[index % ASK_COLOURS.length]);
        return item;
      }),
    );
  }

  // What a person is typing is newer than what the kernel says.
  function fill(control, value) {
    if (control !== control.getRootNode().activeElement) control.value = value;
  }

  channel.on("state", (state) => {
    task = state.task;
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
    showRun(state.run, isBelow ? `${state.summary} · the answer stands below` : state.summary);
    showTask();
  });

  function showRun(run, summary) {
    answer.show(run, summary);
    if (isBelow && !answer.isAsking()) answer.words.hidden = true;
    go.disabled = answer.isAsking();
    estimate.hidden = answer.isAsking();
  }
  channel.on("run", (run) => {
    if (run.text === "") boxes = [];
    isBelow = false;
    showRun(run);
    showBoxes();
  });
  channel.on("text", answer.add);
  channel.on("boxes", (message) => {
    boxes = message.boxes;
    showBoxes();
  });
  channel.on("pictures", (message, buffers) => {
    size = message.size;
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
