// Picker, preview and ask panel side by side, over one connection.

import { h, uniqueId } from "./channel.js";
import { pickerView } from "./picker.js";
import { previewPanelView } from "./preview_panel.js";
import { askPanelView } from "./ask_panel.js";

const BENCH_PARTS = [
  ["picker", "Pick", pickerView],
  ["preview", "See what the model sees", previewPanelView],
  ["ask", "Ask", askPanelView],
];

export function workbenchView({ channel, root, ...rest }) {
  const places = BENCH_PARTS.map(([name, words, view]) => {
    const title = h("h2", { id: uniqueId("title"), class: "nbv-bench-title" }, words);
    const body = h("div", { class: "nbv-body" });
    const place = h(
      "section",
      { class: `nbv-bench-part nbv-bench-${name}`, "aria-labelledby": title.id },
      title,
      body,
    );
    return [name, view, place, body];
  });
  root.append(h("div", { class: "nbv-bench" }, ...places.map(([, , place]) => place)));
  for (const [name, view, , body] of places) {
    const part = channel.part(name);
    view({ ...rest, channel: part, root: body });
    part.ask("hello");
  }
}
