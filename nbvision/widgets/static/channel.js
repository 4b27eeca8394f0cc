// One widget's talk with its kernel, and the few words in which elements are written.

const SECONDS_TO_ANSWER = 3;
const NOT_CONNECTED =
  "Not connected: the kernel has not answered. If a cell is running, wait for " +
  "it; if the kernel was restarted, run this cell again.";

// An element with attributes, listeners ("onclick") and children. Strings become text nodes,
// so that words from a model, a file name or a label can never become markup.
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined)
      element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

let counted = 0;

// A name that no other element of the page has, for labels and descriptions.
export function uniqueId(word) {
  counted += 1;
  return `nbvision-${word}-${counted}-${Math.random().toString(36).slice(2, 8)}`;
}

// A form control with its label in front.
export function labelled(words, control) {
  control.id ||= uniqueId("control");
  return h("span", { class: "nbv-field" }, h("label", { for: control.id }, words), control);
}

// Whether a control is what a person is in: a page may keep widgets in shadow roots.
export function hasFocus(element) {
  return element.contains(element.getRootNode().activeElement);
}

// What an error says, with its limit.
export function errorWords({ value, limit }) {
  return limit ? `${value} (limit: ${limit})` : value;
}

// Switch a button off so that it keeps the focus: what is `disabled` drops it on the page.
// The frame of the widget swallows its clicks.
export function switchOff(control, isOff) {
  control.setAttribute("aria-disabled", String(isOff));
}

// Hide a control, or show it; if a person is in it, they go to another.
export function hide(control, isHidden, instead) {
  if (isHidden && !control.hidden && hasFocus(control)) instead.focus();
  control.hidden = isHidden;
}

// Show encoded pixels in an image element.
export function showPicture(image, buffer, mediaType = "image/jpeg") {
  const url = URL.createObjectURL(new Blob([buffer], { type: mediaType }));
  const done = () => URL.revokeObjectURL(url);
  image.addEventListener("load", done, { once: true });
  image.addEventListener("error", done, { once: true });
  image.src = url;
}

// Run an action when nothing has happened for a while.
export function debounced(milliseconds, action) {
  let timer = 0;
  return (...values) => {
    clearTimeout(timer);
    timer = setTimeout(() => action(...values), milliseconds);
  };
}

// Wrap an anywidget model: `ask` numbers each message and waits for its answer.
export function openChannel(model, { onSilence, onAnswer, onError }) {
  const listeners = new Map();
  const waiting = new Map();
  const silences = [];
  let number = 0;

  function take(content, buffers = []) {
    onAnswer();
    if (content.type === "answer") {
      const asked = waiting.get(content.id);
      if (content.error && !asked?.quiet) onError(content.error);
      asked?.give(content);
      return;
    }
    if (content.type === "error") onError(content);
    for (const listener of listeners.get(`${content.part}/${content.type}`) ?? [])
      listener(content, buffers);
  }
  model.on("msg:custom", take);

  function part(name) {
    return {
      on(type, listener) {
        const key = `${name}/${type}`;
        listeners.set(key, [...(listeners.get(key) ?? []), listener]);
      },
      // Be told when no answer comes.
      onSilence: (listener) => silences.push(listener),
      // Send a message; the promise resolves with the answer, or with null when none came.
      ask(type, fields = {}, buffers = [], { quiet = false, seconds = SECONDS_TO_ANSWER } = {}) {
        number += 1;
        const id = number;
        return new Promise((resolve) => {
          const give = (answer) => {
            clearTimeout(timer);
            waiting.delete(id);
            resolve(answer);
          };
          const silent = () => {
            onSilence();
            for (const listener of silences) listener();
            give(null);
          };
          const timer = setTimeout(silent, seconds * 1000);
          waiting.set(id, { quiet, give });
          try {
            model.send({ ...fields, part: name, type, id }, undefined, buffers);
          } catch {
            silent(); // the notebook has let the connection go: its kernel is another one now
          }
        });
      },
      part,
    };
  }

  function close() {
    model.off("msg:custom", take);
    for (const asked of waiting.values()) asked.give(null);
  }
  return { ...part(""), close };
}

// Keys belong to the widget: a notebook in command mode would take x for "cut this cell".
// Combinations with Ctrl, Meta or Alt, Tab and Escape stay the notebook's.
function keepKeys(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Tab" || event.key === "Escape") return;
  event.stopPropagation();
}

// The frame of every widget: a region for errors, one for silence, and the view in between.
export function host(view) {
  return {
    render({ model, el }) {
      const leaving = new AbortController();
      const silence = h("p", { class: "nbv-notice", role: "status", hidden: true });
      const value = h("span");
      const cure = h("span");
      const dismiss = () => (failure.hidden = true);
      const failure = h(
        "div",
        { class: "nbv-error", hidden: true },
        h("div", { role: "alert" }, value, cure),
        h("button", { type: "button", class: "nbv-quiet", onclick: dismiss }, "Dismiss"),
      );
      const body = h("div", { class: "nbv-body" });
      const root = h("div", { class: "nbvision" }, silence, body, failure);
      root.addEventListener("keydown", keepKeys);
      const swallow = (event) => {
        if (event.target.closest('[aria-disabled="true"]')) event.stopImmediatePropagation();
      };
      root.addEventListener("click", swallow, { capture: true });
      el.append(root);

      const showError = (error) => {
        value.textContent = errorWords(error);
        cure.textContent = error.cure ? ` → ${error.cure}` : "";
        failure.hidden = false;
      };
      const channel = openChannel(model, {
        onSilence: () => {
          silence.textContent = NOT_CONNECTED;
          silence.hidden = false;
        },
        onAnswer: () => (silence.hidden = true),
        onError: showError,
      });
      view({ channel, root: body, signal: leaving.signal, showError, clearError: dismiss });
      channel.ask("hello");
      return () => {
        leaving.abort();
        channel.close();
        root.remove();
      };
    },
  };
}
