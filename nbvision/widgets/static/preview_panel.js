// See what a model will see: a frame in a lens, its numbers, its findings and their fixes.

import { h, hasFocus, labelled } from "./channel.js";
import { fillModels } from "./model_menu.js";
import { previewLens } from "./preview_lens.js";

const PREVIEW_FRAMES = ["original", "resized", "padded"];
const PREVIEW_NAMED = 12;
const PREVIEW_LEVELS = { info: "note", warn: "warning", error: "error" };

export function previewPanelView({ channel, root, signal, showError, clearError }) {
  const lens = previewLens(signal);
  let seen = {};
  let frame = "resized";
  let choosing = 0; // choices of a model that wait for an answer: the menu is ahead of the panel

  // -- elements --------------------------------------------------------------------------------

  const menu = h("select", {
    class: "nbv-preview-menu",
    onchange: async () => {
      choosing += 1;
      await tell("model", { model: menu.value });
      choosing -= 1;
      if (choosing === 0) menu.value = seen.model;
    },
  });
  const frames = PREVIEW_FRAMES.map((name) =>
    h(
      "button",
      { type: "button", "aria-pressed": String(name === frame), onclick: () => choose(name) },
      name,
    ),
  );
  const grid = h("input", { type: "checkbox", onchange: () => lens.setGrid(grid.checked) });
  const gridField = h("label", { class: "nbv-field" }, grid, "patch grid");
  const empty = h("p", { class: "nbv-preview-empty" });
  const name = h("p", { class: "nbv-preview-name" });
  const place = h("span", { role: "status" });
  const previous = arrow("‹", -1);
  const next = arrow("›", 1);
  const stepper = h("div", { class: "nbv-row", hidden: true }, previous, place, next);
  const undo = h("button", { type: "button", onclick: () => tell("undo") }, "Undo");
  const facts = h("tbody");
  const total = h("p", { class: "nbv-note" });
  const status = h("p", { class: "nbv-hidden-text", role: "status" });
  const findings = h("ul", { class: "nbv-preview-findings", "aria-label": "Findings" });

  const top = h(
    "div",
    { class: "nbv-row nbv-preview-top" },
    labelled("Model", menu),
    h("div", { class: "nbv-group", role: "group", "aria-label": "Frame" }, ...frames),
    gridField,
  );
  const side = h(
    "div",
    { class: "nbv-preview-side" },
    h("div", { class: "nbv-row" }, name, undo),
    stepper,
    h("table", { "aria-label": "Sizes and price" }, facts),
    total,
    status,
    findings,
  );
  const main = h("div", { class: "nbv-preview-main" }, lens.element, side);
  root.append(top, empty, main);

  function arrow(sign, by) {
    const words = by < 0 ? "Previous" : "Next";
    const step = () => {
      const to = (seen.place?.at ?? 0) + by;
      if (to >= 0 && to < (seen.place?.count ?? 0)) tell("step", { to });
    };
    return h("button", { type: "button", "aria-label": words, title: words, onclick: step }, sign);
  }

  // -- what a person does ----------------------------------------------------------------------

  function tell(type, fields = {}) {
    clearError();
    return channel.ask(type, fields);
  }

  function choose(name) {
    frame = name;
    PREVIEW_FRAMES.forEach((other, number) =>
      frames[number].setAttribute("aria-pressed", String(other === frame)),
    );
    grid.disabled = frame === "original";
    lens.setFrame(frame);
    describe();
  }

  // -- what the panel says ---------------------------------------------------------------------

  channel.on("state", (state, buffers) => {
    const last = seen;
    seen = state;
    fillModels(menu, state.models, choosing > 0 ? menu.value : state.model);
    const isEmpty = state.image === null;
    empty.hidden = !isEmpty;
    empty.textContent = state.empty;
    main.hidden = isEmpty;
    for (const control of [...frames, grid]) control.disabled = isEmpty;
    if (isEmpty) lens.show({ fit: null, keys: {}, boxes: [] });
    else draw(state, last);
    state.pictures.forEach((about, number) => lens.receive(about, buffers[number]));
    // What was dismissed stays away until something else fails.
    if (state.error && state.error.number !== last.error?.number) showError(state.error);
    else if (!state.error && last.error) clearError();
  });

  channel.on("picture", (about, [buffer]) => lens.receive(about, buffer));

  function draw(state, last) {
    name.textContent = state.image;
    undo.hidden = !state.undo;
    const { at, count, noun } = state.place;
    stepper.hidden = count < 2;
    place.textContent = `${noun} ${at + 1} of ${count}`;
    previous.setAttribute("aria-disabled", String(at === 0));
    next.setAttribute("aria-disabled", String(at === count - 1));
    facts.replaceChildren(
      ...state.facts.map(([what, value]) =>
        h("tr", {}, h("th", { scope: "row" }, what), h("td", {}, value)),
      ),
    );
    total.textContent = state.total;
    total.hidden = state.total === "";
    const waits = state.error ? "This picture cannot be shown" : "Preparing the bytes to send …";
    lens.show({ fit: state.fit, keys: state.keys, boxes: state.boxes, waits });
    status.textContent = busy(state);
    listFindings(state, last);
    grid.disabled = frame === "original";
    describe();
  }

  function busy(state) {
    if (state.is_fixing) return "Working on the fix …";
    return state.is_preparing ? "Preparing the bytes to send …" : "";
  }

  function describe() {
    if (!seen.fit) return;
    const [width, height] = seen.fit[frame];
    const boxes = seen.boxes.map((box, number) => `${number + 1} ${box.label}`.trim());
    const named = boxes.slice(0, PREVIEW_NAMED).join("; ") + (boxes[PREVIEW_NAMED] ? "; …" : "");
    const marked = named ? `, with ${boxes.length} boxes: ${named}` : "";
    lens.describe(`${seen.image}, ${frame}, ${width} × ${height} pixels${marked}`);
  }

  function listFindings(state, last) {
    const shown = [state.findings, state.is_fixing];
    if (JSON.stringify(shown) === JSON.stringify([last.findings, last.is_fixing])) return;
    const hadFocus = hasFocus(findings);
    findings.replaceChildren(...state.findings.map((finding) => item(finding, state.is_fixing)));
    findings.hidden = state.findings.length === 0;
    // The button that was pressed is gone: its place is taken by what comes next.
    if (hadFocus) (findings.querySelector("button") ?? (undo.hidden ? menu : undo)).focus();
  }

  function item(finding, isFixing) {
    const words = h(
      "span",
      {},
      h("b", {}, finding.code),
      h("span", { class: "nbv-hidden-text" }, ` (${PREVIEW_LEVELS[finding.level]})`),
      ` ${finding.value}`,
      finding.limit ? h("span", { class: "nbv-note" }, ` (limit: ${finding.limit})`) : null,
      finding.cure ? ` → ${finding.cure}` : null,
    );
    const fix = () => isFixing || tell("fix", { code: finding.code });
    const disabled = String(isFixing);
    const label = isFixing ? `${finding.fix} …` : finding.fix;
    return h(
      "li",
      { class: `nbv-preview-${PREVIEW_LEVELS[finding.level]}` },
      words,
      finding.fix
        ? h("button", { type: "button", "aria-disabled": disabled, onclick: fix }, label)
        : null,
    );
  }
}
