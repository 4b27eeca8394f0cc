// The lens of a preview: one frame of a picture, its patches, padding and boxes, at any scale.

import { h, showPicture, uniqueId } from "./channel.js";
import { boxColour, inkOn, svgElement } from "./colours.js";
import { ZOOM_PATCH, ZOOM_STEPS, zoomBox, zoomFit, zoomGrid, zoomHatch, zoomMargin, zoomNext, zoomPadding, zoomPixel, zoomScroll, zoomWords } from "./zoom.js";

const LENS_LOWEST = 150;
const LENS_HIGHEST = 460;
const LENS_HINT = "Point at the picture, or focus it and use the arrow keys, to read pixels.";

// Return {element, show, receive, setFrame, setGrid}: the lens with its zoom and its readout.
export function previewLens(signal) {
  const shown = { fit: null, boxes: [], frame: "resized", grid: false, keys: {}, waits: "" };
  const zoom = { mode: "fit", scale: 1, room: [600, 400] };
  const pictures = { sent: lensPicture(), original: lensPicture() };
  const stripes = uniqueId("stripes");
  let cursor = null;

  const overlay = svgElement("svg", { class: "nbv-lens-overlay", "aria-hidden": "true" });
  const boxLayer = h("div", { class: "nbv-lens-boxes", "aria-hidden": "true" });
  const mark = h("div", { class: "nbv-lens-mark", "aria-hidden": "true", hidden: true });
  const waiting = h("p", { class: "nbv-lens-waiting" });
  const paper = h(
    "div",
    { class: "nbv-lens-paper" },
    pictures.sent.element,
    pictures.original.element,
    overlay,
    boxLayer,
    mark,
  );
  const lens = h(
    "div",
    {
      class: "nbv-lens",
      role: "group",
      tabindex: "0",
      "data-lm-suppress-shortcuts": "true",
      "aria-label": "Picture: + and - zoom, 0 shows all of it, arrow keys read pixels",
    },
    paper,
    waiting,
  );
  const readout = h("p", { class: "nbv-lens-readout", "aria-live": "off" }, LENS_HINT);
  const legend = h("p", { class: "nbv-note nbv-lens-legend" });
  const zoomButtons = ["fit", ...ZOOM_STEPS].map((step) =>
    h(
      "button",
      { type: "button", "aria-pressed": "false", onclick: () => setZoom(step) },
      step === "fit" ? "Fit" : `${step * 100} %`,
    ),
  );
  const element = h(
    "div",
    { class: "nbv-lens-whole" },
    lens,
    legend,
    h(
      "div",
      { class: "nbv-row" },
      h("div", { class: "nbv-group", role: "group", "aria-label": "Zoom" }, ...zoomButtons),
      readout,
    ),
  );

  const size = () => shown.fit[shown.frame];
  const current = () => (shown.frame === "original" ? "original" : "sent");

  // -- drawing ---------------------------------------------------------------------------------

  function measure() {
    const width = Math.max(40, element.clientWidth - 2);
    const whole = shown.fit.padded[1] * zoomFit("padded", [width, LENS_HIGHEST], shown.fit);
    const height = Math.round(Math.min(Math.max(whole, LENS_LOWEST), LENS_HIGHEST));
    lens.style.height = `${height + 2}px`;
    zoom.room = [width, height];
    if (zoom.mode === "fit") zoom.scale = zoomFit(shown.frame, zoom.room, shown.fit);
  }

  function draw() {
    lens.hidden = element.hidden = shown.fit === null;
    if (shown.fit === null) return;
    measure();
    const [width, height] = size().map((side) => side * zoom.scale);
    paper.style.width = `${width}px`;
    paper.style.height = `${height}px`;
    lens.classList.toggle("nbv-lens-large", width > zoom.room[0] || height > zoom.room[1]);
    drawPictures();
    drawOverlay(width, height);
    drawBoxes();
    drawMark();
    ["fit", ...ZOOM_STEPS].forEach((step, number) =>
      zoomButtons[number].setAttribute("aria-pressed", String(step === zoom.mode)),
    );
  }

  function drawPictures() {
    for (const [name, picture] of Object.entries(pictures)) {
      const isCurrent = picture.key !== null && picture.key === shown.keys[name];
      const image = picture.element;
      image.hidden = name !== current() || !isCurrent;
      const [width, height] = name === "sent" ? shown.fit.resized : shown.fit.original;
      image.style.width = `${width * zoom.scale}px`;
      image.style.height = `${height * zoom.scale}px`;
      // A copy of the original has pixels of its own, which are nobody's.
      const isExact = name === "sent" || image.naturalWidth === shown.fit.original[0];
      image.style.imageRendering = zoom.scale > 1 && isExact ? "pixelated" : "auto";
      if (name === current()) waiting.hidden = isCurrent;
    }
    waiting.textContent = shown.waits;
    drawLegend();
  }

  function drawLegend() {
    const copied = pictures.original.element.naturalWidth;
    const isCopy = shown.frame === "original" && copied > 0 && copied < shown.fit.original[0];
    const words = {
      padded: zoomPadding(shown.fit),
      original: `Your picture, upright${isCopy ? `; shown from a copy ${copied} px wide` : ""}`,
      resized: "What is sent, and what the model's coordinates refer to",
    }[shown.frame];
    const isHatched = shown.frame === "padded" && zoomHatch(shown.fit, 1) !== "";
    legend.replaceChildren(isHatched ? h("span", { class: "nbv-lens-swatch" }) : "", words);
  }

  function drawOverlay(width, height) {
    overlay.replaceChildren();
    overlay.setAttribute("width", width);
    overlay.setAttribute("height", height);
    if (shown.frame === "original") return;
    if (shown.frame === "padded") overlay.append(...hatched());
    if (!shown.grid) return;
    const path = zoomGrid(size(), zoom.scale);
    overlay.append(svgElement("path", { d: path, class: "nbv-lens-grid" }));
  }

  function hatched() {
    const added = zoomHatch(shown.fit, zoom.scale);
    const line = svgElement("path", { d: "M-2 2L2 -2M0 8L8 0M6 10L10 6", class: "nbv-lens-stripe" });
    const pattern = { id: stripes, width: 8, height: 8, patternUnits: "userSpaceOnUse" };
    return [
      svgElement("defs", {}, svgElement("pattern", pattern, line)),
      svgElement("path", { d: added, class: "nbv-lens-padding" }),
      svgElement("path", { d: added, fill: `url(#${stripes})` }),
    ];
  }

  function drawBoxes() {
    const drawn = shown.boxes.map((box, number) => {
      const place = zoomBox(box, shown.frame, shown.fit);
      if (place === null) return null;
      const colour = boxColour(number + 1);
      const ink = inkOn(colour);
      const [left, top] = [place.left * zoom.scale, place.top * zoom.scale];
      const words = h("span", {}, `${number + 1} ${box.label}`.trim());
      words.style.background = colour;
      words.style.color = ink;
      if (top < 20) words.classList.add("nbv-lens-below");
      const drawnBox = h("div", {}, words);
      drawnBox.style.cssText = `left:${left}px;top:${top}px;border-color:${colour}`;
      drawnBox.style.width = `${(place.right - place.left) * zoom.scale}px`;
      drawnBox.style.height = `${(place.bottom - place.top) * zoom.scale}px`;
      return drawnBox;
    });
    boxLayer.replaceChildren(...drawn.filter((box) => box !== null));
  }

  // -- zoom ------------------------------------------------------------------------------------

  function setZoom(mode, point = zoom.room.map((side) => side / 2)) {
    if (shown.fit === null) return;
    const before = zoom.scale;
    zoom.mode = mode;
    zoom.scale = mode === "fit" ? zoomFit(shown.frame, zoom.room, shown.fit) : mode;
    const scrolled = [lens.scrollLeft, lens.scrollTop].map((scroll, axis) =>
      zoomScroll(
        { scroll, point: point[axis], length: size()[axis], room: zoom.room[axis] },
        before,
        zoom.scale,
      ),
    );
    draw();
    lens.scrollTo({ left: scrolled[0], top: scrolled[1], behavior: "instant" });
  }

  function setFrame(frame) {
    const share = shown.fit && [
      (lens.scrollLeft + zoom.room[0] / 2) / lens.scrollWidth,
      (lens.scrollTop + zoom.room[1] / 2) / lens.scrollHeight,
    ];
    shown.frame = frame;
    cursor = null;
    say(LENS_HINT, "off");
    draw();
    if (share) {
      lens.scrollLeft = share[0] * lens.scrollWidth - zoom.room[0] / 2;
      lens.scrollTop = share[1] * lens.scrollHeight - zoom.room[1] / 2;
    }
  }

  // -- reading pixels --------------------------------------------------------------------------

  function say(words, live) {
    readout.setAttribute("aria-live", live);
    readout.textContent = words;
  }

  function placeOf(event) {
    const box = paper.getBoundingClientRect();
    return zoomPixel([event.clientX - box.left, event.clientY - box.top], size(), zoom.scale);
  }

  function drawMark() {
    mark.hidden = cursor === null;
    if (cursor === null) return;
    const side = Math.max(zoom.scale, 1);
    mark.style.cssText = `left:${cursor[0] * zoom.scale}px;top:${cursor[1] * zoom.scale}px`;
    mark.style.width = mark.style.height = `${side}px`;
  }

  function moveCursor(right, down, isFar) {
    const limits = size();
    if (cursor === null) {
      const middle = [lens.scrollLeft, lens.scrollTop].map(
        (scroll, axis) =>
          (scroll + zoom.room[axis] / 2 - zoomMargin(limits[axis], zoom.room[axis], zoom.scale)) /
          zoom.scale,
      );
      cursor = middle.map(Math.floor);
    } else {
      const step = isFar ? ZOOM_PATCH : Math.max(1, Math.round(4 / zoom.scale));
      cursor = [cursor[0] + right * step, cursor[1] + down * step];
    }
    cursor = cursor.map((value, axis) => Math.min(Math.max(value, 0), limits[axis] - 1));
    drawMark();
    mark.scrollIntoView({ block: "nearest", inline: "nearest", behavior: "instant" });
    say(zoomWords(shown.frame, cursor, shown.fit), "polite");
  }

  lens.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || shown.fit === null) return;
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    if (event.key in moves) moveCursor(...moves[event.key], event.shiftKey);
    else if (event.key === "+" || event.key === "=") setZoom(zoomNext(zoom.scale, 1));
    else if (event.key === "-" || event.key === "_") setZoom(zoomNext(zoom.scale, -1));
    else if (event.key === "0") setZoom("fit");
    else return;
    event.preventDefault();
  });

  // -- pointer ---------------------------------------------------------------------------------

  let drag = null;
  lens.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || event.pointerType === "touch" || shown.fit === null) return;
    // Beside the picture lie scroll bars, which are dragged by themselves.
    if (!paper.contains(event.target)) return;
    drag = { x: event.clientX + lens.scrollLeft, y: event.clientY + lens.scrollTop };
    lens.setPointerCapture(event.pointerId);
    lens.classList.add("nbv-lens-dragged");
  });
  lens.addEventListener("pointermove", (event) => {
    if (shown.fit === null) return;
    if (drag !== null) {
      lens.scrollLeft = drag.x - event.clientX;
      lens.scrollTop = drag.y - event.clientY;
      return;
    }
    const pixel = placeOf(event);
    if (pixel !== null) say(zoomWords(shown.frame, pixel, shown.fit), "off");
  });
  const letGo = () => {
    drag = null;
    lens.classList.remove("nbv-lens-dragged");
  };
  lens.addEventListener("pointerup", letGo);
  lens.addEventListener("pointercancel", letGo);
  lens.addEventListener(
    "wheel",
    (event) => {
      if (!event.ctrlKey || shown.fit === null) return; // a plain wheel scrolls
      event.preventDefault();
      const box = lens.getBoundingClientRect();
      const next = zoomNext(zoom.scale, event.deltaY < 0 ? 1 : -1);
      setZoom(next, [event.clientX - box.left - 1, event.clientY - box.top - 1]);
    },
    { passive: false },
  );

  let seenWidth = 0;
  const watcher = new ResizeObserver(() => {
    if (element.clientWidth === seenWidth) return;
    seenWidth = element.clientWidth;
    draw();
  });
  watcher.observe(element);
  signal.addEventListener("abort", () => watcher.disconnect());
  // Until new bytes are decoded an image element goes on showing the old ones, which would lie.
  for (const picture of Object.values(pictures))
    picture.element.addEventListener("load", () => {
      picture.key = picture.coming;
      if (shown.fit !== null) draw();
    });

  return {
    element,
    setFrame,
    setGrid(grid) {
      shown.grid = grid;
      draw();
    },
    show(fields) {
      const isOther = JSON.stringify(fields.fit) !== JSON.stringify(shown.fit);
      Object.assign(shown, fields);
      if (isOther) cursor = null;
      draw();
    },
    receive({ frame, key, media_type }, buffer) {
      const picture = pictures[frame];
      if (picture.coming === key) return; // said again for the sake of another view
      picture.coming = key;
      showPicture(picture.element, buffer, media_type);
    },
    describe(words) {
      for (const picture of Object.values(pictures)) picture.element.alt = words;
    },
  };
}

function lensPicture() {
  return { element: h("img", { alt: "", draggable: "false", hidden: true }), key: null, coming: null };
}
