// Files on their way to the kernel, in acknowledged pieces, each with its progress and Cancel.
import { h, uniqueId } from "./channel.js";

const UPLOAD_PIECE_BYTES = 1 << 20;
const UPLOADS_AT_ONCE = 2;
const UPLOAD_PIECE_SECONDS = 20; // over a slow line a piece takes longer than a click
const UPLOAD_MEGA = 1e6;

function uploadMegabytes(bytes) {
  return bytes >= UPLOAD_MEGA / 10 ? `${(bytes / UPLOAD_MEGA).toFixed(1)} MB` : `${Math.ceil(bytes / 1000)} kB`;
}

// Takes files from an input, a drop or a paste. `maxBytes` returns the limit for one file.
//   input(words)        a labelled file input
//   acceptFrom(element) drop and paste anywhere inside the element
//   list                where progress and refusals stand
//   take(files), fetch(address)
export function openUploads({ channel, signal, maxBytes }) {
  const list = h("ul", { class: "nbv-uploads" });
  const rows = new Map();
  const waiting = [];
  let underWay = 0;

  function addRow(name) {
    const id = uniqueId("upload").slice(-60);
    const bar = h("progress", { max: 1, value: 0, "aria-label": `Upload of ${name}` });
    const words = h("span", { class: "nbv-upload-words", role: "status" });
    const stop = h("button", { type: "button", class: "nbv-quiet" }, "Cancel");
    const title = h("bdi", { class: "nbv-upload-name" }, name);
    const item = h("li", {}, title, bar, words, stop);
    const row = { id, name, bar, words, stop, item, isStopped: false, isOver: false };
    stop.onclick = () => (row.isOver ? remove(row) : cancel(row));
    stop.setAttribute("aria-label", `Cancel ${name}`);
    rows.set(id, row);
    list.append(item);
    return row;
  }

  function remove(row) {
    rows.delete(row.id);
    row.item.remove();
  }

  function cancel(row) {
    row.isStopped = true;
    channel.ask("upload_cancel", { upload: row.id }, [], { quiet: true });
    remove(row);
  }

  function refuse(row, { value, limit, cure }) {
    row.isStopped = row.isOver = true;
    row.bar.hidden = true;
    row.item.classList.add("nbv-refused");
    row.words.textContent = [
      value.includes(row.name) ? value : `${row.name}: ${value}`,
      limit && ` (limit: ${limit})`,
      cure && ` → ${cure}`,
    ].join("");
    row.item.firstChild.hidden = true;
    row.stop.textContent = "Dismiss";
    row.stop.setAttribute("aria-label", `Dismiss the message on ${row.name}`);
  }

  // Ask, and say whether it was acknowledged; if not, the row says why.
  async function passed(row, type, fields, buffers = []) {
    const options = { quiet: true, seconds: UPLOAD_PIECE_SECONDS };
    const answer = await channel.ask(type, { upload: row.id, ...fields }, buffers, options);
    if (row.isStopped || signal.aborted) return false;
    if (answer && !answer.error) return true;
    refuse(row, answer?.error ?? {
      value: "the kernel did not answer, so the upload ended",
      cure: "when it is idle again, choose the file again",
    });
    return false;
  }

  async function send(row, file) {
    if (!(await passed(row, "upload_begin", { name: row.name, bytes: file.size }))) return;
    for (let start = 0, order = 0; start < file.size; start += UPLOAD_PIECE_BYTES, order += 1) {
      let piece;
      try {
        piece = await file.slice(start, start + UPLOAD_PIECE_BYTES).arrayBuffer();
      } catch {
        channel.ask("upload_cancel", { upload: row.id }, [], { quiet: true });
        refuse(row, { value: "the browser cannot read it", cure: "is it a folder, or was it changed?" });
        return;
      }
      if (row.isStopped || signal.aborted) return;
      if (!(await passed(row, "upload_piece", { order }, [piece]))) return;
      const sent = Math.min(file.size, start + UPLOAD_PIECE_BYTES);
      row.bar.value = sent / file.size;
      row.words.textContent = sent < file.size ? `${uploadMegabytes(sent)} of ${uploadMegabytes(file.size)}` : "opening";
    }
  }

  async function next() {
    if (underWay >= UPLOADS_AT_ONCE || !waiting.length || signal.aborted) return;
    const { row, file } = waiting.shift();
    if (row.isStopped) return next();
    underWay += 1;
    await send(row, file);
    underWay -= 1;
    next();
  }

  function take(files, renamed) {
    for (const file of files) {
      const row = addRow(renamed ?? (file.name || "picture"));
      const limit = maxBytes();
      if (file.size > limit)
        refuse(row, {
          value: `${row.name} has ${uploadMegabytes(file.size)}`,
          limit: `${uploadMegabytes(limit)} for an upload`,
          cure: "put it into the folder, or raise max_bytes=",
        });
      else if (file.size === 0) refuse(row, { value: `${row.name} is empty`, cure: "choose another file" });
      else {
        row.words.textContent = "waiting";
        waiting.push({ row, file });
        next();
      }
    }
  }

  async function fetch(address) {
    const row = addRow(address);
    row.bar.removeAttribute("value");
    row.bar.setAttribute("aria-label", `Fetching ${address}`);
    row.words.textContent = "fetching";
    return passed(row, "fetch", { address });
  }

  channel.on("upload_end", ({ upload, error }) => {
    const row = rows.get(upload);
    if (!row) return;
    if (error) refuse(row, error);
    else remove(row);
  });

  function input(words) {
    const id = uniqueId("files");
    const control = h("input", { type: "file", id, multiple: true, accept: "image/*,.heic,.heif,.avif" });
    control.addEventListener("change", () => {
      take([...control.files]);
      control.value = "";
    });
    return h("span", { class: "nbv-file" }, control, h("label", { for: id }, words));
  }

  function acceptFrom(element) {
    let depth = 0;
    const shade = (isOver) => element.classList.toggle("nbv-dropping", isOver);
    const holdsFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
    const listen = (type, action) =>
      element.addEventListener(
        type,
        (event) => {
          if (!holdsFiles(event)) return;
          event.preventDefault();
          event.stopPropagation();
          action(event);
        },
        { signal },
      );
    listen("dragenter", () => shade((depth += 1) > 0));
    listen("dragleave", () => shade((depth = Math.max(0, depth - 1)) > 0));
    listen("dragover", (event) => (event.dataTransfer.dropEffect = "copy"));
    listen("drop", (event) => {
      shade((depth = 0) > 0);
      take([...event.dataTransfer.files]);
    });
    element.addEventListener(
      "paste",
      (event) => {
        const files = [...(event.clipboardData?.files ?? [])];
        if (!files.length) return;
        event.preventDefault();
        event.stopPropagation();
        // Every screenshot calls itself image.png.
        const time = new Date().toTimeString().slice(0, 8).replaceAll(":", ".");
        take(files, files.length === 1 ? `pasted ${time}.${files[0].type.split("/")[1]}` : undefined);
      },
      { signal },
    );
  }

  return { list, take, fetch, input, acceptFrom };
}
