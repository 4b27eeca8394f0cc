// Choose pictures: folders, a grid of tiles of which only the visible ones exist, uploads.
import { debounced, h, hasFocus, hide, switchOff, uniqueId } from "./channel.js";
import { gridColumns, gridHeight, gridScroll, gridStep, gridWindow } from "./grid.js";
import { openUploads } from "./uploading.js";

const PICKER_TILE_WIDTH = 118;
const PICKER_ROW_HEIGHT = 164;
const PICKER_GAP = 8;
const PICKER_ROWS_MORE = 2; // drawn beyond the edges, so that a small scroll shows no gap
const PICKER_MOST_THUMBS = 500; // remembered, about 4 kB each
const PICKER_MOST_ASKED = 300;
const PICKER_PAUSE = 60; // milliseconds between two questions while scrolling

export function pickerView({ channel, root, signal, clearError }) {
  let state = { added: 0, folders: 0, pictures: 0, crumbs: [], chosen: [], view: -1, listing: -1 };
  let place = ""; // the folder shown
  let items = new Map(); // by position: number, kind, name
  let chosen = new Set(); // numbers
  let cursor = 0;
  let anchor = 0;
  let columns = 1;
  let asked = "";
  let isTyping = false; // words that Python has not heard yet
  const viewer = uniqueId("viewer").slice(-60);
  const tiles = new Map(); // by position
  const thumbs = new Map(); // by number, the longest unused first
  const uploads = openUploads({ channel, signal, maxBytes: () => state.max_bytes ?? Infinity });
  const count = () => state.added + state.folders + state.pictures;

  // -- the frame ----------------------------------------------------------------------------

  const button = (words, onclick, extra = {}) =>
    h("button", { type: "button", onclick, ...extra }, words);
  const up = button("Up", () => goUp(state.crumbs.length - 1), { title: "To the folder above (Backspace)" });
  up.addEventListener("keydown", (event) => {
    if (event.key === "Backspace") goUp(state.crumbs.length - 1);
  });
  const crumbs = h("ol", { class: "nbv-crumbs" });
  const again = button("Refresh", () => channel.ask("refresh"), { title: "Read the folder again" });
  const search = h("input", { type: "search", id: uniqueId("search"), placeholder: "Search names", spellcheck: "false" });
  const order = h(
    "select",
    { id: uniqueId("order") },
    h("option", { value: "name" }, "name"),
    h("option", { value: "newest" }, "newest"),
    h("option", { value: "largest" }, "largest"),
  );
  const address = h("input", {
    type: "url", id: uniqueId("address"), placeholder: "https://…", maxlength: 4000, class: "nbv-grow",
  });
  const shown = h("span", { class: "nbv-note", role: "status" });
  const picked = h("span", { class: "nbv-picked", role: "status" });
  const opens = h("span", { class: "nbv-note" });
  const all = button("Select all", () => chooseAll(), { title: "Select all that are shown (a)" });
  const clear = button("Clear", () => channel.ask("clear"));
  const removal = button("Remove", () => remove(items.get(cursor)), { hidden: true });
  const canvas = h("div", { class: "nbv-canvas", role: "presentation" });
  const grid = h(
    "div",
    {
      class: "nbv-grid", role: "listbox", tabindex: "0", "aria-label": "Pictures",
      "data-lm-suppress-shortcuts": "true",
    },
    canvas,
  );
  const empty = h("p", { class: "nbv-empty", hidden: true });
  root.classList.add("nbv-picker");
  root.append(
    h("div", { class: "nbv-row" }, up, h("nav", { "aria-label": "Folder", class: "nbv-grow" }, crumbs), again),
    h(
      "div",
      { class: "nbv-row" },
      h("span", { class: "nbv-field nbv-grow" }, h("label", { for: search.id, class: "nbv-hidden-text" }, "Search names"), search),
      h("span", { class: "nbv-field" }, h("label", { for: order.id }, "Sort by"), order),
      shown,
    ),
    h("div", { class: "nbv-stack" }, grid, empty),
    h("div", { class: "nbv-row" }, picked, opens, h("span", { class: "nbv-buttons" }, removal, all, clear)),
    h(
      "div",
      { class: "nbv-row nbv-sources" },
      uploads.input("Upload pictures"),
      h("span", { class: "nbv-field nbv-grow" }, h("label", { for: address.id }, "Picture address"), address, button("Fetch", () => fetchAddress())),
    ),
    h("p", { class: "nbv-note nbv-hint" }, "Pictures can also be dropped here, or pasted."),
    uploads.list,
    h("div", { class: "nbv-drop", "aria-hidden": "true" }, "Drop pictures to add them"),
  );
  uploads.acceptFrom(root);

  // -- what comes from Python ---------------------------------------------------------------

  channel.on("state", (fields) => {
    const here = JSON.stringify(fields.crumbs);
    const isElsewhere = here !== place;
    const isOther = fields.view !== state.view || fields.listing !== state.listing;
    if (fields.listing !== state.listing) forgetThumbs();
    if (isElsewhere || fields.search !== state.search || fields.order !== state.order) {
      for (const tile of tiles.values()) tile.remove();
      tiles.clear();
      cursor = anchor = fields.start ?? 0;
      grid.scrollTop = 0;
    }
    if (isOther) items = new Map();
    [state, place] = [fields, here];
    cursor = Math.max(0, Math.min(cursor, count() - 1));
    anchor = Math.max(0, Math.min(anchor, count() - 1));
    asked = "";
    drawFrame();
    takeSelection(fields);
    layOut();
    if (isElsewhere && fields.start !== null) scrollTo(cursor);
  });

  channel.on("reading", (fields) => {
    if (state.listing < 0) return;
    state = { ...state, reading: fields.count };
    drawFrame();
  });

  channel.on("tiles", ({ view, first, tiles: found }) => {
    if (view !== state.view) return;
    found.forEach(([number, kind, name], index) => items.set(first + index, { number, kind, name }));
    draw();
  });

  channel.on("thumbs", ({ listing, items: found }, buffers) => {
    if (listing !== state.listing) return;
    let next = 0;
    for (const item of found) {
      const url = item.has_picture ? URL.createObjectURL(new Blob([buffers[next++]], { type: "image/jpeg" })) : "";
      forgetThumb(item.number);
      thumbs.set(item.number, { ...item, url });
    }
    while (thumbs.size > PICKER_MOST_THUMBS) forgetThumb(thumbs.keys().next().value);
    draw();
  });

  channel.on("selection", takeSelection);

  function takeSelection(fields) {
    chosen = new Set(fields.chosen);
    const { selected, names, opening, most } = fields;
    const rest = selected - names.length;
    const list = selected ? `: ${names.join(", ")}${rest > 0 ? ` and ${rest.toLocaleString("en")} more` : ""}` : "";
    const amount = most === 1 ? (selected ? "Selected" : "Nothing selected") : `${selected} selected`;
    if (picked.textContent !== amount + list) picked.textContent = amount + list;
    opens.textContent = opening ? `(opening ${opening})` : "";
    picked.title = names.join("\n");
    switchOff(clear, selected === 0);
    for (const [position, tile] of tiles) markTile(tile, position);
  }

  function forgetThumb(number) {
    const old = thumbs.get(number);
    if (old?.url) URL.revokeObjectURL(old.url);
    thumbs.delete(number);
  }

  function forgetThumbs() {
    for (const number of [...thumbs.keys()]) if (number >= 0) forgetThumb(number);
  }

  function drawFrame() {
    const names = [state.root, ...state.crumbs];
    const inFront = root.getRootNode().activeElement;
    const focused = crumbs.contains(inFront) ? [...crumbs.querySelectorAll("button")].indexOf(inFront) : -1;
    crumbs.replaceChildren(
      ...names.map((name, level) =>
        h(
          "li",
          {},
          level === names.length - 1
            ? h("bdi", { "aria-current": "location", title: name }, name)
            : button(h("bdi", {}, name), () => goUp(level), { class: "nbv-quiet", title: name }),
        ),
      ),
    );
    if (focused >= 0) (crumbs.querySelectorAll("button")[focused] ?? grid).focus();
    switchOff(up, state.crumbs.length === 0);
    if (!isTyping && !hasFocus(search)) search.value = state.search;
    order.value = state.order;
    grid.setAttribute("aria-multiselectable", String(state.multiple));
    all.hidden = !state.multiple;
    switchOff(all, state.pictures + state.added === 0);
    const isReading = state.reading !== null;
    grid.setAttribute("aria-busy", String(isReading));
    const many = (number, word) => `${number.toLocaleString("en")} ${word}${number === 1 ? "" : "s"}`;
    const found = state.search ? `${state.pictures.toLocaleString("en")} of ${many(state.of, "picture")}` : many(state.pictures, "picture");
    shown.textContent = isReading
      ? `reading folder${state.reading ? `, ${many(state.reading, "file")}` : ""}`
      : `${found}${state.is_cut ? ", the first of more" : ""}`;
    const { value, cure } = state.trouble ?? {};
    empty.textContent = value
      ? `${value}${cure ? ` → ${cure}` : ""}`
      : isReading ? "Reading folder" : state.search ? "No name holds these words." : "No pictures here.";
    empty.hidden = count() > 0;
    hide(grid, count() === 0, state.crumbs.length ? up : search);
  }

  // -- tiles --------------------------------------------------------------------------------

  function layOut() {
    const width = grid.clientWidth;
    if (!width) return;
    const before = columns;
    const firstShown = Math.floor(grid.scrollTop / PICKER_ROW_HEIGHT) * before;
    columns = gridColumns(width, PICKER_TILE_WIDTH, PICKER_GAP);
    canvas.style.height = `${gridHeight(count(), columns, PICKER_ROW_HEIGHT)}px`;
    if (columns !== before) grid.scrollTop = Math.floor(firstShown / columns) * PICKER_ROW_HEIGHT;
    draw();
  }

  const viewport = () => ({
    top: grid.scrollTop, height: grid.clientHeight, rowHeight: PICKER_ROW_HEIGHT, columns, count: count(),
  });

  function draw() {
    const { first, last } = gridWindow({ ...viewport(), more: PICKER_ROWS_MORE });
    for (const [position, tile] of tiles)
      if ((position < first || position >= last) && position !== cursor) {
        tile.remove();
        tiles.delete(position);
      }
    for (let position = first; position < last; position += 1) drawTile(position);
    if (cursor < count()) drawTile(cursor);
    const active = tiles.get(cursor);
    if (active) grid.setAttribute("aria-activedescendant", active.id);
    else grid.removeAttribute("aria-activedescendant");
    removal.hidden = items.get(cursor)?.kind !== "added";
    removal.setAttribute("aria-label", `Remove ${items.get(cursor)?.name ?? ""}`);
    askSoon();
  }

  function drawTile(position) {
    let tile = tiles.get(position);
    if (!tile) {
      tile = h("div", { role: "option", class: "nbv-tile", id: uniqueId("tile"), "aria-posinset": position + 1 });
      tiles.set(position, tile);
      const after = [...tiles].filter(([other]) => other > position).sort(([a], [b]) => a - b)[0];
      canvas.insertBefore(tile, after?.[1] ?? null);
    }
    const row = Math.floor(position / columns);
    const share = 100 / columns;
    tile.style.cssText = `top:${row * PICKER_ROW_HEIGHT}px;left:${(position % columns) * share}%;width:calc(${share}% - ${PICKER_GAP}px);height:${PICKER_ROW_HEIGHT - PICKER_GAP}px`;
    tile.setAttribute("aria-setsize", count());
    const item = items.get(position);
    if (!item) return;
    const thumb = thumbs.get(item.number);
    if (tile.item !== item || tile.thumb !== thumb) fillTile(tile, item, thumb);
    markTile(tile, position);
  }

  function fillTile(tile, item, thumb) {
    [tile.item, tile.thumb] = [item, thumb];
    const { error, url, size, words } = thumb ?? {};
    const isBroken = Boolean(error?.value);
    tile.className = `nbv-tile nbv-is-${item.kind}${isBroken ? " nbv-is-broken" : ""}`;
    tile.title = isBroken
      ? [item.name, error.value, error.limit && `limit: ${error.limit}`, error.cure].filter(Boolean).join("\n")
      : [item.name, size && `${size} px`].filter(Boolean).join("\n");
    const look = isBroken
      ? h("span", { class: "nbv-reason" }, error.value)
      : url ? h("img", { src: url, alt: "", draggable: "false", decoding: "async" }) : h("span", { class: item.kind === "folder" ? "nbv-folder" : "nbv-blank" });
    const notes = (words ?? []).map(([word, sentence]) => h("span", { class: "nbv-word", title: sentence }, word));
    tile.replaceChildren(
      h("bdi", { class: "nbv-name" }, item.name),
      h("span", { class: "nbv-look" }, look, h("span", { class: "nbv-words" }, ...notes)),
      item.kind === "folder" ? h("span", { class: "nbv-hidden-text" }, "folder") : "",
      item.kind !== "folder" && state.multiple ? h("span", { class: "nbv-tick", "aria-hidden": "true", title: "Select or unselect" }) : "",
      item.kind === "added" ? h("span", { class: "nbv-cross", "aria-hidden": "true", title: "Remove (Delete)" }, "×") : "",
    );
  }

  function markTile(tile, position) {
    const item = tile.item;
    if (item && item.kind !== "folder") tile.setAttribute("aria-selected", String(chosen.has(item.number)));
    else tile.removeAttribute("aria-selected");
    tile.classList.toggle("nbv-at", position === cursor);
  }

  // -- asking for what is looked at -----------------------------------------------------------

  let isPausing = false;
  let isDue = false;
  function askSoon() {
    isDue = true;
    if (isPausing || count() === 0) return;
    isDue = false;
    isPausing = true;
    ask();
    setTimeout(() => {
      isPausing = false;
      if (isDue && !signal.aborted) askSoon();
    }, PICKER_PAUSE);
  }

  function ask() {
    const view = viewport();
    const rows = Math.max(1, Math.ceil(view.height / PICKER_ROW_HEIGHT));
    const near = gridWindow({ ...view, more: rows });
    const first = near.first;
    const last = Math.min(near.last, first + PICKER_MOST_ASKED);
    const wanted = [...gridPlaces(gridWindow(view)), ...gridPlaces({ first, last })];
    if (wanted.some((position) => !items.has(position))) {
      const question = { view: state.view, first, count: last - first };
      if (asked !== JSON.stringify(question)) {
        asked = JSON.stringify(question);
        channel.ask("look", question);
      }
      return;
    }
    const known = wanted.map((position) => items.get(position)).filter(({ kind }) => kind !== "folder");
    const numbers = [];
    for (const { number } of known) {
      const thumb = thumbs.get(number);
      if (thumb) thumbs.delete(number), thumbs.set(number, thumb);
      else if (!numbers.includes(number)) numbers.push(number);
    }
    const question = { listing: state.listing, numbers: numbers.slice(0, PICKER_MOST_ASKED) };
    if (asked === JSON.stringify(question)) return;
    asked = JSON.stringify(question);
    channel.ask("thumbs", { ...question, viewer, count: question.numbers.length });
  }

  function* gridPlaces({ first, last }) {
    for (let position = first; position < last; position += 1) yield position;
  }

  // -- what a person does ---------------------------------------------------------------------

  function goUp(level) {
    if (level < 0) return;
    clearError();
    channel.ask("up", { level });
  }

  function enter(position) {
    clearError();
    channel.ask("enter", { view: state.view, position });
  }

  async function choose(how, position, from = position) {
    clearError();
    const before = chosen;
    const item = items.get(position);
    if (item && how !== "range") {
      // Shown at once; Python's word replaces it.
      const wasChosen = chosen.has(item.number);
      chosen = how === "only" || !state.multiple ? new Set() : new Set(chosen);
      if (how === "toggle" && wasChosen) chosen.delete(item.number);
      else chosen.add(item.number);
      for (const [other, tile] of tiles) markTile(tile, other);
    }
    const answer = await channel.ask("choose", { view: state.view, how, position, anchor: from });
    if (answer) return;
    chosen = before; // nobody has heard of it
    for (const [other, tile] of tiles) markTile(tile, other);
  }

  function chooseAll() {
    clearError();
    channel.ask("choose_all", { view: state.view });
  }

  function remove(item) {
    if (item?.kind !== "added") return;
    if (hasFocus(removal)) grid.focus();
    channel.ask("remove", { number: item.number });
  }

  function scrollTo(position) {
    grid.scrollTop = gridScroll(position, viewport());
  }

  function moveTo(position) {
    cursor = position;
    scrollTo(position);
    draw();
    for (const [other, tile] of tiles) markTile(tile, other);
  }

  grid.addEventListener("click", (event) => {
    const tile = event.target.closest(".nbv-tile");
    const position = [...tiles].find(([, other]) => other === tile)?.[0];
    if (position === undefined) return;
    const item = items.get(position);
    moveTo(position);
    if (item?.kind === "folder") return enter(position);
    if (event.target.closest(".nbv-cross")) return remove(item);
    if (event.shiftKey && state.multiple) return choose("range", position, anchor);
    anchor = position;
    choose(event.ctrlKey || event.metaKey || event.target.closest(".nbv-tick") ? "toggle" : "only", position);
  });
  // Shift-click would mark text.
  grid.addEventListener("mousedown", (event) => event.shiftKey && event.preventDefault());

  grid.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const item = items.get(cursor);
    const rows = Math.max(1, Math.floor(grid.clientHeight / PICKER_ROW_HEIGHT));
    const next = gridStep(cursor, event.key, { columns, count: count(), rows });
    if (next !== null) {
      moveTo(next);
      if (!event.shiftKey) anchor = next;
      else if (state.multiple) choose("range", next, anchor);
    } else if (event.key === " " && item && item.kind !== "folder") {
      anchor = cursor;
      choose("toggle", cursor);
    } else if (event.key === "Enter" && item) {
      if (item.kind === "folder") enter(cursor);
      else choose("only", cursor);
    } else if (event.key === "Backspace") goUp(state.crumbs.length - 1);
    else if (event.key === "Delete") remove(item);
    else if (event.key === "a" && state.multiple) chooseAll();
    else if (event.key !== " ") return;
    event.preventDefault();
  });

  const searchSoon = debounced(200, async () => {
    if (signal.aborted) return;
    const text = search.value;
    await channel.ask("search", { text });
    isTyping = search.value !== text;
  });
  search.addEventListener("input", () => {
    isTyping = true;
    searchSoon();
  });
  search.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== "ArrowDown") return;
    event.preventDefault();
    grid.focus();
  });
  order.addEventListener("change", () => channel.ask("order", { by: order.value }));
  address.addEventListener("keydown", (event) => event.key === "Enter" && fetchAddress());

  async function fetchAddress() {
    const text = address.value.trim();
    if (!text) return address.focus();
    if (await uploads.fetch(text)) address.value = "";
  }

  let frame = 0;
  grid.addEventListener("scroll", () => {
    cancelAnimationFrame(frame);
    frame = requestAnimationFrame(() => !signal.aborted && draw());
  });
  const resizing = new ResizeObserver(() => layOut());
  resizing.observe(grid);
  signal.addEventListener("abort", () => {
    resizing.disconnect();
    for (const number of [...thumbs.keys()]) forgetThumb(number);
  });
}
