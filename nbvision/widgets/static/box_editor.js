import { debounced, h, labelled, switchOff, uniqueId } from "./channel.js";
import { boxBeside, boxContains, boxFromDrag, boxInMiddle, boxMoved, boxOverlap, boxResized, boxWithEdge, boxWithin, nearestPoint, placeFromScreen, pointWithin, smallestAt } from "./boxes.js";
import { BOX_EDGES, boxList } from "./box_list.js";
import { boxQueue } from "./box_queue.js";
import { boxScene } from "./box_scene.js";
import { boxColour } from "./colours.js";

const BOX_ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const BOX_SIZERS = { a: [-1, 0], d: [1, 0], w: [0, -1], s: [0, 1], "[": [-1, 0], "]": [1, 0], "{": [-10, 0], "}": [10, 0] };
const BOX_KEYS = [
  ["n, p", "new box, new point in the middle of what you see"],
  [", and . or Page Up, Page Down", "choose the previous or next"],
  ["Arrows", "move by 1 px; with Shift by 10 px"],
  ["a, d, w, s", "right edge left or right, bottom edge up or down; with Shift by 10 px"],
  ["Enter", "go to the label, and back"],
  ["Delete", "remove"],
  ["z, y", "undo, redo"],
  ["+, −, 0", "zoom in, out, whole picture"],
  ["Escape", "give up a drag, or let go of the selection"],
  ["Mouse", "drag to draw; click to choose, then drag it or its handles; Shift+click sets a point; Ctrl+wheel zooms; Space+drag pans"],
];
const BOX_THRESHOLD = 3; // screen pixels until a press becomes a drag
const BOX_REACH = 12; // screen pixels around a point that belong to it
const BOX_CLOSEST = 32; // times the whole picture
const BOX_LEAST_HEIGHT = 260; // screen pixels of what is zoomed

// Fresh places, each the object that was there before where nothing about it has changed.
function boxesKept(fresh, before) {
  return fresh.map((place, index) => {
    const old = before[index];
    return old && Object.keys(place).every((name) => place[name] === old[name]) ? old : place;
  });
}

export function boxEditorView({ channel, root, signal, showError, clearError }) {
  const view = uniqueId("view");
  const queue = boxQueue(view, (type, fields) => channel.ask(type, fields));
  let state = null;
  let frame = [0, 0, 1, 1];
  let boxes = [];
  let points = [];
  let selected = null; // { kind, index }
  let tool = "box";
  let drag = null;
  let zoom = 1;
  let scale = 1; // screen pixels for one of the picture
  let isSpaceDown = false;
  let isNudging = false;
  let stepping = null; // undo or redo, whose outcome is to be said
  let awaitsFrame = false;
  let overlaps = new WeakMap();
  let free = []; // the model's boxes that belong to none

  // -- elements --------------------------------------------------------------------------------
  const button = (words, action, attributes = {}) =>
    h("button", { type: "button", onclick: action, ...attributes }, words);
  const tools = {
    box: button("Box", () => useTool("box"), { title: "Drag on the picture to draw a box" }),
    point: button("Point", () => useTool("point"), { title: "Click on the picture to set a point" }),
  };
  const undo = button("Undo", () => step("undo"));
  const redo = button("Redo", () => step("redo"));
  const zoomOut = button("−", () => setZoom(zoom / 1.5), { "aria-label": "Zoom out" });
  const zoomFit = button("100 %", () => setZoom(1), { "aria-label": "Whole picture" });
  const zoomIn = button("+", () => setZoom(zoom * 1.5), { "aria-label": "Zoom in" });
  const known = h("datalist", { id: uniqueId("labels") });
  const newLabel = h("input", { type: "text", maxlength: 200, list: known.id, size: 12 });
  const useModel = button("Use the model’s boxes", copyModel);
  const showModel = h("input", { type: "checkbox", checked: true, onchange: draw });
  const modelTools = h("span", { class: "nbv-row" }, useModel, labelled("Show the model’s", showModel));

  const drawing = boxScene();
  const scene = drawing.element;
  const helpId = uniqueId("help");
  const viewport = h("div", {
    class: "nbv-viewport", tabindex: 0, role: "application", "aria-describedby": helpId,
    "data-lm-suppress-shortcuts": "true", "aria-label": "Picture",
  }, scene);
  const said = h("p", { class: "nbv-note nbv-said", role: "status" });
  const keys = BOX_KEYS.flatMap(([key, words]) => [h("dt", {}, key), h("dd", {}, words)]);
  const help = h("details", { class: "nbv-keys" }, h("summary", {}, "Keys and mouse"), h("dl", {}, ...keys));
  const shortHelp = h("span", { id: helpId, class: "nbv-hidden-text" },
    "n draws a box, p a point, arrows move, a d w s resize, comma and period choose, Enter labels, Delete removes, z undoes. All is in the list as well.");

  const list = boxList(known.id, {
    choose: (which) => {
      select(which, { silent: true });
      reveal();
    },
    leave: () => viewport.focus({ preventScroll: true }),
    refresh: drawSoon,
    relabel,
    setEdge,
    remove: (which) => {
      remove(which);
      if (!list.focusRemove(numberOf(which))) viewport.focus({ preventScroll: true });
    },
  });
  const summary = h("p", { class: "nbv-summary" });
  root.append(
    h("div", { class: "nbv-row" },
      h("span", { class: "nbv-group", role: "group", "aria-label": "Draw" }, tools.box, tools.point),
      h("span", { class: "nbv-group" }, undo, redo),
      h("span", { class: "nbv-group", role: "group", "aria-label": "Zoom" }, zoomOut, zoomFit, zoomIn),
      labelled("Label for new", newLabel), modelTools, known),
    h("div", { class: "nbv-editor" },
      h("div", { class: "nbv-drawing" }, viewport, said, help, shortHelp),
      h("div", { class: "nbv-list" }, list.element, summary)),
  );

  // -- words -----------------------------------------------------------------------------------
  const listOf = (kind) => (kind === "box" ? boxes : points);
  const numberOf = ({ kind, index }) => index + 1 + (kind === "box" ? 0 : boxes.length);
  const chosen = () => (selected ? listOf(selected.kind)[selected.index] : undefined);
  const sequence = () => [
    ...boxes.map((_, index) => ({ kind: "box", index })),
    ...points.map((_, index) => ({ kind: "point", index })),
  ];
  function inWords(which) {
    const place = listOf(which.kind)[which.index];
    const numbers = which.kind === "box" ? BOX_EDGES.map((edge) => place[edge]) : [place.x, place.y];
    return `${which.kind} ${numberOf(which)}${place.label ? `, ${place.label}` : ""}: ${numbers.join(", ")}`;
  }
  const say = (words) => (said.textContent = words);

  // -- changes ---------------------------------------------------------------------------------
  const settleNudge = debounced(300, flush);
  function flush() {
    if (!isNudging) return;
    isNudging = false;
    commit(selected ? inWords(selected) : "");
  }
  function commit(words) {
    clearError();
    queue.change({ boxes, points });
    draw();
    if (selected) list.reveal(numberOf(selected));
    if (words) say(words);
  }
  function step(kind) {
    endDrag();
    flush();
    const button = kind === "undo" ? undo : redo;
    if (button.getAttribute("aria-disabled") === "true") {
      say(kind === "undo" ? "nothing to undo" : "nothing to do again");
      return;
    }
    queue.step(kind);
    stepping = kind;
  }
  function replace(which, place) {
    const list = listOf(which.kind).map((other, index) => (index === which.index ? place : other));
    if (which.kind === "box") boxes = list;
    else points = list;
  }
  function add(kind, place) {
    flush();
    if (listOf(kind).length >= state.most) {
      showError({ value: `${state.most} of a kind are drawn already`, limit: `${state.most}`, cure: "delete some" });
      return false;
    }
    const fresh = { ...place, label: newLabel.value };
    if (kind === "box") boxes = [...boxes, fresh];
    else points = [...points, fresh];
    selected = { kind, index: listOf(kind).length - 1 };
    return true;
  }
  function remove(which) {
    flush();
    const words = `${which.kind} ${numberOf(which)} deleted`;
    const rest = listOf(which.kind).filter((_, index) => index !== which.index);
    if (which.kind === "box") boxes = rest;
    else points = rest;
    selected = null; // a neighbour that nobody chose would be moved by the next drag
    commit(words);
  }
  function nudge(place) {
    replace(selected, place);
    isNudging = true;
    draw();
    settleNudge();
  }
  function relabel(which, label) {
    const place = listOf(which.kind)[which.index];
    if (!place || place.label === label) return;
    replace(which, { ...place, label });
    commit(inWords(which));
  }
  function setEdge(which, edge, value) {
    const place = listOf(which.kind)[which.index];
    const name = which.kind === "box" ? edge : edge === "left" ? "x" : "y";
    if (which.kind === "box") replace(which, boxWithEdge(place, edge, value, frame));
    else if (Number.isFinite(value)) replace(which, pointWithin({ ...place, [name]: value }, frame));
    const kept = listOf(which.kind)[which.index][name];
    const refused = Number.isFinite(value) && kept !== Math.round(value);
    commit(refused ? `${name} can only be ${kept} here; ${inWords(which)}` : inWords(which));
    return kept;
  }
  function copyModel() {
    flush();
    const inside = state.against.filter((box) =>
      box.left < frame[2] && box.right > frame[0] && box.top < frame[3] && box.bottom > frame[1]);
    boxes = inside.slice(0, state.most).map((box) => ({ ...boxWithin(box, frame), label: box.label.slice(0, 200) }));
    selected = null;
    commit(`${boxes.length} of the model’s boxes copied; Undo brings back what was there`);
  }
  function select(which, { silent = false } = {}) {
    flush();
    selected = which;
    draw();
    if (which) list.reveal(numberOf(which));
    if (!silent) say(which ? inWords(which) : "nothing chosen");
  }
  function choose(direction) {
    const all = sequence();
    if (!all.length) return;
    const at = selected ? numberOf(selected) - 1 : direction > 0 ? -1 : all.length;
    select(all[(at + direction + all.length) % all.length]);
    reveal();
  }
  function useTool(kind) {
    tool = kind;
    for (const [name, element] of Object.entries(tools)) element.setAttribute("aria-pressed", String(name === kind));
    scene.classList.toggle("nbv-points", kind === "point");
  }

  // -- drawing ---------------------------------------------------------------------------------
  function drawSoon() {
    if (awaitsFrame) return;
    awaitsFrame = true;
    requestAnimationFrame(() => {
      awaitsFrame = false;
      draw();
    });
  }
  function draw() {
    if (!state) return;
    if (selected && !chosen()) selected = null;
    drawing.draw({
      boxes, points, selected, scale,
      model: showModel.checked ? state.against : [],
      wordsOf: (index, isChosen) => (isChosen && drag?.isMoving ? sizeInWords(index) : boxes[index].label),
      gripped: selected?.kind === "box" && !(drag?.isMoving && drag.kind === "draw") ? chosen() : null,
    });
    list.draw(sequence().map(listed), {
      hasModel: state.against.length > 0,
      isPictureBusy: Boolean(drag) || isNudging,
    });
    switchOff(undo, !(state.can_undo || isNudging));
    switchOff(redo, !state.can_redo);
  }
  const listed = (which) => ({
    which,
    number: numberOf(which),
    place: listOf(which.kind)[which.index],
    colour: boxColour(numberOf(which)),
    isChosen: selected?.kind === which.kind && selected.index === which.index,
    iou: which.kind === "box" ? liveOverlap(which.index) : null,
  });
  function sizeInWords(index) {
    const box = boxes[index];
    const iou = liveOverlap(index);
    const size = `${box.right - box.left} × ${box.bottom - box.top}`;
    return iou === null ? size : `${size} · IoU ${iou.toFixed(2)}`;
  }
  // With the partner that Python has found; for a box it does not know yet, with the best.
  function liveOverlap(index) {
    if (!state.against.length) return null;
    const box = boxes[index];
    if (!overlaps.has(box)) {
      const pair = state.pairs.length === boxes.length ? state.pairs[index] : null;
      const others = pair ? [state.against[pair[0]]] : free;
      overlaps.set(box, Math.max(0, ...others.map((other) => boxOverlap(box, other))));
    }
    return overlaps.get(box);
  }

  // -- zoom ------------------------------------------------------------------------------------
  function measure() {
    scale = scene.clientWidth / (frame[2] - frame[0]);
    draw();
    wantDetail();
  }
  function setZoom(wanted, screen = null) {
    const fresh = Math.min(Math.max(wanted, 1), BOX_CLOSEST);
    const area = viewport.getBoundingClientRect();
    const at = screen ?? { x: area.left + area.width / 2, y: area.top + area.height / 2 };
    const place = placeFromScreen(at, scene.getBoundingClientRect(), frame);
    // The page stays where it is: only what is inside the frame grows.
    if (zoom === 1) viewport.style.height = `${Math.max(area.height, BOX_LEAST_HEIGHT)}px`;
    zoom = fresh < 1.02 ? 1 : fresh;
    if (zoom === 1) viewport.style.height = "";
    scene.style.setProperty("--nbv-zoom", zoom);
    const shown = scene.getBoundingClientRect();
    const fromLeft = ((place.x - frame[0]) / (frame[2] - frame[0])) * shown.width;
    const fromTop = ((place.y - frame[1]) / (frame[3] - frame[1])) * shown.height;
    viewport.scrollLeft += shown.left + fromLeft - at.x;
    viewport.scrollTop += shown.top + fromTop - at.y;
    zoomFit.textContent = `${Math.round(zoom * 100)} %`;
    switchOff(zoomOut, zoom <= 1);
    switchOff(zoomIn, zoom >= BOX_CLOSEST);
    measure();
  }
  // What can be seen, in original pixels.
  function visible() {
    const [area, shown] = [viewport.getBoundingClientRect(), scene.getBoundingClientRect()];
    const start = placeFromScreen({ x: area.left, y: area.top }, shown, frame);
    const end = placeFromScreen({ x: area.left + viewport.clientWidth, y: area.top + viewport.clientHeight }, shown, frame);
    return [Math.max(start.x, frame[0]), Math.max(start.y, frame[1]), Math.min(end.x, frame[2]), Math.min(end.y, frame[3])];
  }
  // The picture that came first is small; where someone looks closer, ask for what is there.
  const wantDetail = debounced(250, () => {
    const [come, whole] = [drawing.pictureWidth(), frame[2] - frame[0]];
    const isSharp = come >= whole || scale * window.devicePixelRatio <= (1.1 * come) / whole;
    if (signal.aborted || zoom === 1 || !come || isSharp) return;
    const region = visible();
    if (region[0] < region[2] && region[1] < region[3])
      channel.ask("detail", { region, view }, [], { quiet: true });
  });
  function reveal() {
    const place = chosen();
    if (!place || zoom === 1) return;
    const box = selected.kind === "box" ? place : { left: place.x, right: place.x, top: place.y, bottom: place.y };
    const [left, top, right, bottom] = visible();
    if (box.left >= left && box.right <= right && box.top >= top && box.bottom <= bottom) return;
    viewport.scrollLeft += ((box.left + box.right) / 2 - (left + right) / 2) * scale;
    viewport.scrollTop += ((box.top + box.bottom) / 2 - (top + bottom) / 2) * scale;
  }

  // -- mouse, finger, pen ----------------------------------------------------------------------
  const placeOf = (event) =>
    placeFromScreen({ x: event.clientX, y: event.clientY }, scene.getBoundingClientRect(), frame);

  function press(event) {
    const isPan = event.button === 1 || (event.button === 0 && isSpaceDown);
    const onScrollbar = event.target === viewport &&
      (event.offsetX > viewport.clientWidth || event.offsetY > viewport.clientHeight);
    if (!state || drag || onScrollbar || (event.button !== 0 && !isPan)) return;
    event.preventDefault();
    viewport.focus({ preventScroll: true });
    flush();
    viewport.setPointerCapture(event.pointerId);
    const place = placeOf(event);
    drag = { pointer: event.pointerId, x: event.clientX, y: event.clientY, place, boxes, points, selected, isMoving: false, kind: "draw" };
    const point = nearestPoint(points, place, BOX_REACH / scale);
    const direction = event.target.dataset?.direction;
    if (isPan) Object.assign(drag, { kind: "pan", scrollLeft: viewport.scrollLeft, scrollTop: viewport.scrollTop });
    else if (direction) Object.assign(drag, { kind: "resize", direction, box: chosen() });
    else if (event.shiftKey || (tool === "point" && point < 0)) drag.kind = "point";
    else if (point >= 0) {
      selected = { kind: "point", index: point };
      Object.assign(drag, { kind: "move point", point: points[point] });
    } else if (selected?.kind === "box" && boxContains(chosen(), place, 4 / scale))
      Object.assign(drag, { kind: "move", box: chosen() });
  }
  function move(event) {
    if (!drag && state) {
      const isInside = selected?.kind === "box" && boxContains(chosen(), placeOf(event), 4 / scale);
      scene.classList.toggle("nbv-over", isInside && tool === "box");
    }
    if (!drag || event.pointerId !== drag.pointer) return;
    const [x, y] = [event.clientX - drag.x, event.clientY - drag.y];
    if (!drag.isMoving && Math.hypot(x, y) < BOX_THRESHOLD) return;
    const place = placeOf(event);
    const [right, below] = [place.x - drag.place.x, place.y - drag.place.y];
    const isFirst = !drag.isMoving;
    drag.isMoving = true;
    if (drag.kind === "pan") {
      viewport.scrollLeft = drag.scrollLeft - x;
      viewport.scrollTop = drag.scrollTop - y;
      return;
    }
    if (drag.kind === "draw") {
      const box = boxFromDrag(drag.place, place, frame);
      if (isFirst && !add("box", box)) return cancelDrag();
      replace(selected, { ...chosen(), ...box });
    }
    if (drag.kind === "point") {
      if (isFirst && !add("point", pointWithin(place, frame))) return cancelDrag();
      replace(selected, pointWithin({ ...chosen(), ...place }, frame));
    }
    if (drag.kind === "move") replace(selected, boxMoved(drag.box, right, below, frame));
    if (drag.kind === "resize") replace(selected, boxResized(drag.box, drag.direction, right, below, frame));
    if (drag.kind === "move point") replace(selected, pointWithin({ ...drag.point, x: drag.point.x + right, y: drag.point.y + below }, frame));
    drawSoon();
  }
  function release(event) {
    if (!drag || event.pointerId !== drag.pointer) return;
    const { kind, isMoving, place } = drag;
    drag = null;
    if (kind === "pan") return;
    if (isMoving) commit(inWords(selected));
    else if (kind === "point") {
      if (add("point", pointWithin(place, frame))) commit(inWords(selected));
    } else if (kind === "move point") select(selected);
    else if (kind !== "resize") {
      const index = smallestAt(boxes, place, 4 / scale);
      select(index < 0 ? null : { kind: "box", index });
    }
  }
  function endDrag() {
    if (drag) ({ boxes, points, selected } = drag);
    drag = null;
  }
  function cancelDrag() {
    endDrag();
    draw();
  }
  viewport.addEventListener("pointerdown", press);
  viewport.addEventListener("pointermove", move);
  viewport.addEventListener("pointerup", release);
  viewport.addEventListener("pointercancel", cancelDrag);
  viewport.addEventListener("lostpointercapture", cancelDrag);
  viewport.addEventListener("scroll", wantDetail);
  viewport.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    setZoom(zoom * Math.exp(-event.deltaY / 300), { x: event.clientX, y: event.clientY });
  }, { passive: false });

  // -- keys ------------------------------------------------------------------------------------
  function isTaken(event) {
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (event.ctrlKey || event.metaKey) {
      // Undo by habit: outside the picture it would change the cell's own words.
      if (!"zy".includes(key) || event.altKey) return false;
      step(key === "y" || event.shiftKey ? "redo" : "undo");
      event.stopPropagation();
      return true;
    }
    if (event.altKey) return false;
    const far = event.shiftKey ? 10 : 1;
    if (key in BOX_ARROWS || key in BOX_SIZERS) return moveByKey(key, far);
    const place = { x: (visible()[0] + visible()[2]) / 2, y: (visible()[1] + visible()[3]) / 2 };
    if (key === "n") return add("box", boxBeside(boxInMiddle(visible(), frame), boxes, frame)) && (commit(inWords(selected)), true);
    if (key === "p") return add("point", pointWithin(place, frame)) && (commit(inWords(selected)), true);
    if (key === "," || key === "PageUp") return choose(-1), true;
    if (key === "." || key === "PageDown") return choose(1), true;
    if (key === "Delete" || key === "Backspace") return selected && remove(selected), true;
    if (key === "z" || key === "y") return step(key === "z" && !event.shiftKey ? "undo" : "redo"), true;
    if (key === "+" || key === "=") return setZoom(zoom * 1.5), true;
    if (key === "-" || key === "0") return setZoom(key === "0" ? 1 : zoom / 1.5), true;
    if (key === "Escape") return drag ? cancelDrag() : select(null), true;
    if (key === "Enter" && selected) return flush(), list.focusLabel(numberOf(selected)), true;
    return false;
  }
  function moveByKey(key, far) {
    if (!selected || drag) return key in BOX_SIZERS;
    const place = chosen();
    const [x, y] = (BOX_ARROWS[key] ?? BOX_SIZERS[key]).map((part) => part * far);
    if (selected.kind === "point") {
      if (key in BOX_ARROWS) nudge(pointWithin({ ...place, x: place.x + x, y: place.y + y }, frame));
    } else if (key in BOX_ARROWS) nudge(boxMoved(place, x, y, frame));
    else if (x) nudge(boxWithEdge(place, "right", place.right + x, frame));
    else nudge(boxWithEdge(place, "bottom", place.bottom + y, frame));
    reveal();
    return true;
  }
  viewport.addEventListener("keydown", (event) => {
    if (!state || event.target !== viewport) return;
    if (event.key === " ") {
      isSpaceDown = true;
      scene.classList.add("nbv-panning");
      event.preventDefault();
    } else if (isTaken(event)) event.preventDefault();
  });
  const letSpaceGo = () => {
    isSpaceDown = false;
    scene.classList.remove("nbv-panning");
  };
  viewport.addEventListener("keyup", (event) => event.key === " " && letSpaceGo());
  viewport.addEventListener("blur", () => (letSpaceGo(), flush()));

  // -- Python ----------------------------------------------------------------------------------
  channel.on("state", (fields) => {
    const { adopt, mustYield, lost } = queue.take(fields);
    const isFirst = state === null;
    const before = state?.against ?? [];
    const isBusy = Boolean(drag?.isMoving) || isNudging;
    state = fields;
    frame = fields.frame;
    drawing.setFrame(frame, fields.picture);
    if (lost || (mustYield && isBusy && !isFirst))
      showError({ value: "the boxes were changed elsewhere at the same time: your last change was not kept", cure: "what you see now is the latest; make it again" });
    if (mustYield || (adopt && !isBusy)) {
      drag = null;
      isNudging = false;
      boxes = boxesKept(fields.boxes, boxes);
      points = boxesKept(fields.points, points);
    }
    fields.against = boxesKept(fields.against, before);
    const taken = new Set(fields.pairs.filter(Boolean).map(([other]) => other));
    free = fields.against.filter((_, other) => !taken.has(other));
    overlaps = new WeakMap();
    if (isFirst) {
      newLabel.value = fields.new_label;
      setZoom(1);
    }
    viewport.setAttribute("aria-label", `${fields.picture}, to draw boxes on`);
    modelTools.hidden = fields.against.length === 0;
    summary.textContent = fields.summary ? `Against the model: ${fields.summary}` : "";
    known.replaceChildren(...fields.labels.map((label) => h("option", { value: label })));
    if (isFirst) channel.ask("picture");
    if (stepping) {
      const boxWord = boxes.length === 1 ? "box" : "boxes";
      const pointWord = points.length === 1 ? "point" : "points";
      const what = `${boxes.length} ${boxWord}, ${points.length} ${pointWord}`;
      say(`${stepping === "undo" ? "undone" : "done again"}: ${what}`);
      stepping = null;
    }
    measure();
  });
  channel.on("picture", (_, [data]) => drawing.showWhole(data));
  channel.on("detail", ({ region, view: whose }, [data]) => {
    if (whose === view) drawing.showDetail(region, data);
  });
  const observer = new ResizeObserver(measure);
  observer.observe(scene);
  signal.addEventListener("abort", () => (observer.disconnect(), flush()));
  useTool("box");
}
