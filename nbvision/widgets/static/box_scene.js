import { h, showPicture } from "./channel.js";
import { BOX_DIRECTIONS } from "./boxes.js";
import { boxColour, hasDarkSeam, inkOn, svgElement } from "./colours.js";

// The picture with what lies on it: outlines, names, points and the handles of the chosen box.

const BOX_EDGE_HANDLES = 76; // screen pixels of a side that has room for a handle in its middle
const BOX_SMALL = 44; // screen pixels of a side below which handles move out of the way

// The outline of a box: a line of its colour on a seam that sets it off from any ground.
function boxOutline() {
  const outline = svgElement("g");
  outline.append(svgElement("rect", { class: "nbv-seam" }), svgElement("rect", { class: "nbv-line" }));
  return outline;
}

function layOutline(outline, box, colour = "") {
  const size = { x: box.left, y: box.top, width: box.right - box.left, height: box.bottom - box.top };
  for (const rect of outline.children)
    for (const [name, value] of Object.entries(size)) rect.setAttribute(name, value);
  outline.style.setProperty("--nbv-box", colour || "#fff");
  outline.classList.toggle("nbv-dark-seam", hasDarkSeam(colour));
}

// Whether what an element was last drawn from has changed: most have not, in most moments.
export function boxesDiffer(element, ...values) {
  const isSame = element.memo?.every((value, index) => value === values[index]);
  element.memo = values;
  return !isSame;
}

// Give a list of elements the length it must have.
function boxesCounted(items, parent, count, make) {
  while (items.length > count) items.pop().remove();
  while (items.length < count) {
    items.push(make());
    parent.append(items.at(-1));
  }
}

export function boxScene() {
  let frame = [0, 0, 1, 1];
  const picture = h("img", { class: "nbv-picture", alt: "", draggable: "false" });
  const detail = h("img", { class: "nbv-detail", alt: "", draggable: "false", hidden: true });
  const svg = svgElement("svg", { preserveAspectRatio: "none", "aria-hidden": "true" });
  const modelGroup = svgElement("g", { class: "nbv-model" });
  const boxGroup = svgElement("g");
  svg.append(modelGroup, boxGroup);
  const marks = h("div", { class: "nbv-marks", "aria-hidden": "true" });
  const grips = BOX_DIRECTIONS.map((direction) =>
    h("div", { class: `nbv-grip nbv-grip-${direction}`, "data-direction": direction, "aria-hidden": "true", hidden: true }),
  );
  const element = h("div", { class: "nbv-scene" }, picture, detail, svg, marks, ...grips);
  const [modelOutlines, outlines, tags, dots] = [[], [], [], []];

  const across = (x) => `${((x - frame[0]) / (frame[2] - frame[0])) * 100}%`;
  const down = (y) => `${((y - frame[1]) / (frame[3] - frame[1])) * 100}%`;

  function drawModel(model) {
    boxesCounted(modelOutlines, modelGroup, model.length, boxOutline);
    model.forEach((box, index) => {
      if (boxesDiffer(modelOutlines[index], box)) layOutline(modelOutlines[index], box);
    });
  }
  function drawBoxes({ boxes, selected, scale, wordsOf }) {
    boxesCounted(outlines, boxGroup, boxes.length, boxOutline);
    boxesCounted(tags, marks, boxes.length, () => h("span", { class: "nbv-tag" }));
    boxes.forEach((box, index) => {
      const isChosen = selected?.kind === "box" && selected.index === index;
      const words = wordsOf(index, isChosen);
      if (!boxesDiffer(outlines[index], box, isChosen, words, scale)) return;
      layOutline(outlines[index], box, boxColour(index + 1));
      outlines[index].classList.toggle("nbv-chosen", isChosen);
      drawTag(tags[index], index + 1, box, words, scale);
    });
  }
  function drawTag(tag, number, box, words, scale) {
    const colour = boxColour(number);
    const isRight = (box.left - frame[0]) / (frame[2] - frame[0]) > 0.7;
    tag.textContent = `${number} ${words}`.trim();
    tag.style.cssText =
      `background:${colour};color:${inkOn(colour)};` +
      `left:${across(isRight ? box.right : box.left)};top:${down(box.top)}`;
    tag.classList.toggle("nbv-tag-under", (box.top - frame[1]) * scale < 20);
    tag.classList.toggle("nbv-tag-right", isRight);
  }
  function drawPoints({ boxes, points, selected }) {
    const make = () => h("span", { class: "nbv-dot" }, h("span", { class: "nbv-dot-tag" }));
    boxesCounted(dots, marks, points.length, make);
    points.forEach((point, index) => {
      const [dot, number] = [dots[index], boxes.length + index + 1];
      const isChosen = selected?.kind === "point" && selected.index === index;
      if (!boxesDiffer(dot, point, number, isChosen)) return;
      dot.style.cssText = `left:${across(point.x)};top:${down(point.y)};--nbv-box:${boxColour(number)}`;
      dot.classList.toggle("nbv-chosen", isChosen);
      dot.firstChild.textContent = `${number} ${point.label}`.trim();
    });
  }
  // Handles are as large as a finger needs; around a small box they move out of its way.
  function drawGrips(box, scale) {
    const [width, height] = box ? [(box.right - box.left) * scale, (box.bottom - box.top) * scale] : [0, 0];
    for (const grip of grips) {
      const direction = grip.dataset.direction;
      const side = direction === "n" || direction === "s" ? width : height;
      grip.hidden = !box || (direction.length === 1 && side < BOX_EDGE_HANDLES);
      if (grip.hidden) continue;
      const pick = (first, last, values) => values[direction.includes(first) ? 0 : direction.includes(last) ? 2 : 1];
      const out = (size) => (size < BOX_SMALL ? ["-9px", "0px", "9px"] : ["0px", "0px", "0px"]);
      grip.style.left = across(pick("w", "e", [box.left, (box.left + box.right) / 2, box.right]));
      grip.style.top = down(pick("n", "s", [box.top, (box.top + box.bottom) / 2, box.bottom]));
      grip.style.setProperty("--nbv-out-x", pick("w", "e", out(width)));
      grip.style.setProperty("--nbv-out-y", pick("n", "s", out(height)));
    }
  }

  return {
    element,
    // How wide the picture that has come is, in its own pixels; 0 before.
    pictureWidth: () => picture.naturalWidth,
    setFrame(fresh, words) {
      frame = fresh;
      const [width, height] = [frame[2] - frame[0], frame[3] - frame[1]];
      svg.setAttribute("viewBox", `${frame[0]} ${frame[1]} ${width} ${height}`);
      element.style.setProperty("--nbv-aspect", width / height);
      picture.alt = words;
    },
    showWhole(data) {
      if (!picture.src) showPicture(picture, data);
    },
    showDetail([left, top, right, bottom], data) {
      const lay = () => {
        detail.style.cssText =
          `left:${across(left)};top:${down(top)};width:calc(${across(right)} - ${across(left)});` +
          `height:calc(${down(bottom)} - ${down(top)})`;
        detail.hidden = false;
      };
      detail.addEventListener("load", lay, { once: true });
      showPicture(detail, data);
    },
    draw(shown) {
      element.classList.toggle("nbv-pixels", shown.scale >= 3);
      drawModel(shown.model);
      drawBoxes(shown);
      drawPoints(shown);
      drawGrips(shown.gripped, shown.scale);
    },
  };
}
