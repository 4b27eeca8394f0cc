import { h, hasFocus } from "./channel.js";
import { boxesDiffer } from "./box_scene.js";

// The table beside the picture: everything that can be done there can be done here.

export const BOX_EDGES = ["left", "top", "right", "bottom"];
const BOX_LONGEST_LABEL = 200;

const tableCell = (...children) => h("td", { role: "cell" }, ...children);

// `act` is told what a person did: choose, relabel, setEdge, remove, leave, refresh.
function boxRow(number, labelsId, act) {
  const row = { which: null, edges: {} };
  row.number = h("th", { scope: "row", role: "rowheader" }, String(number));
  row.label = h("input", {
    type: "text", maxlength: BOX_LONGEST_LABEL, list: labelsId, autocomplete: "off",
    onchange: () => act.relabel(row.which, row.label.value),
    onkeydown: (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      act.leave();
    },
  });
  for (const edge of BOX_EDGES) {
    const change = () => {
      const input = row.edges[edge];
      const value = input.value.trim() === "" ? Number.NaN : Number(input.value);
      input.value = act.setEdge(row.which, edge, value);
    };
    // A wheel that scrolls the page must not change a number on its way.
    row.edges[edge] = h("input", {
      type: "number", step: 1, onchange: change, onwheel: (event) => event.target.blur(),
    });
  }
  row.iou = tableCell();
  row.remove = h("button", { type: "button", class: "nbv-remove", onclick: () => act.remove(row.which) }, "×");
  const edges = BOX_EDGES.map((edge) => h("td", { role: "cell", "data-edge": edge }, row.edges[edge]));
  // What was left half typed and given up shows the truth again.
  const leave = () => {
    row.memo = null;
    act.refresh();
  };
  row.element = h("tr", { role: "row", onfocusin: () => act.choose(row.which), onfocusout: leave },
    row.number, tableCell(row.label), ...edges, row.iou, tableCell(row.remove));
  return row;
}

function layRow(row, { which, number, place, colour, isChosen, iou }, fill) {
  row.which = which;
  if (!boxesDiffer(row, which.kind, number, place, isChosen, iou)) return;
  const name = `${which.kind} ${number}`;
  const isBox = which.kind === "box";
  row.element.classList.toggle("nbv-chosen", isChosen);
  row.element.classList.toggle("nbv-point-row", !isBox);
  row.number.style.setProperty("--nbv-box", colour);
  row.label.setAttribute("aria-label", `Label of ${name}`);
  row.remove.setAttribute("aria-label", `Delete ${name}`);
  fill(row.label, place.label);
  for (const edge of BOX_EDGES) {
    const input = row.edges[edge];
    const isAcross = edge === "left" || edge === "right";
    input.hidden = !isBox && (edge === "right" || edge === "bottom");
    if (input.hidden) continue;
    input.setAttribute("aria-label", `${isBox ? edge : isAcross ? "x" : "y"} of ${name}`);
    fill(input, isBox ? place[edge] : isAcross ? place.x : place.y);
  }
  row.iou.textContent = iou === null ? "" : iou > 0 ? iou.toFixed(2) : "–";
}

export function boxList(labelsId, act) {
  const rows = [];
  const head = (words) => h("th", { scope: "col", role: "columnheader" }, words);
  const heads = ["No.", "Label", "Left", "Top", "Right", "Bottom", "IoU"].map(head);
  heads.push(head(h("span", { class: "nbv-hidden-text" }, "Delete")));
  const body = h("tbody", { role: "rowgroup" });
  const table = h("table", { class: "nbv-places", role: "table" },
    h("caption", { class: "nbv-hidden-text" }, "Boxes and points, in pixels of the original"),
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, ...heads)), body);
  const nothing = h("p", { class: "nbv-note" },
    "Nothing drawn yet: drag on the picture, or press n while it has the focus.");
  const isTyped = hasFocus;

  const element = h("div", { class: "nbv-listed" }, nothing, table);

  return {
    element,
    // Scroll the list, never the page.
    reveal(number) {
      const row = rows[number - 1].element;
      const head = table.tHead.offsetHeight;
      const [above, below] = [row.offsetTop - head, row.offsetTop + row.offsetHeight];
      if (element.scrollTop > above) element.scrollTop = above;
      else if (element.scrollTop + element.clientHeight < below) element.scrollTop = below - element.clientHeight;
    },
    focusLabel(number) {
      rows[number - 1].label.focus();
      rows[number - 1].label.select();
    },
    // The delete button that now stands where a row was, or false if there is none.
    focusRemove(number) {
      const row = rows[Math.min(number, rows.length) - 1];
      row?.remove.focus({ preventScroll: true });
      return Boolean(row);
    },
    // What someone is typing stays, unless the picture is what moves.
    draw(items, { hasModel, isPictureBusy }) {
      const fill = (input, value) => {
        if (isPictureBusy || !isTyped(input)) input.value = value;
      };
      while (rows.length > items.length) rows.pop().element.remove();
      while (rows.length < items.length) {
        rows.push(boxRow(rows.length + 1, labelsId, act));
        body.append(rows.at(-1).element);
      }
      items.forEach((item, index) => layRow(rows[index], item, fill));
      table.hidden = !items.length;
      nothing.hidden = items.length > 0;
      table.classList.toggle("nbv-alone", !hasModel);
    },
  };
}
