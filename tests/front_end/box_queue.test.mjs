import assert from "node:assert/strict";
import { test } from "node:test";
import { pathToFileURL } from "node:url";

const { boxQueue } = await import(pathToFileURL(`${process.env.NBVISION_STATIC}/box_queue.js`));

// Python's side: it takes an edit of its own version, or the same hand's next, and no other.
function kernel() {
  const truth = { version: 0, boxes: [], edit: { view: "", serial: 0, accepted: true } };
  let hand = { view: null, from: 0 };
  const settle = (boxes) => Object.assign(truth, { version: truth.version + 1, boxes });
  return {
    truth,
    change(boxes) {
      hand = { view: null, from: 0 };
      settle(boxes);
    },
    state: () => structuredClone(truth),
    handle({ boxes, version, view, serial }) {
      const isOwn = view === hand.view && hand.from <= version;
      const accepted = version === truth.version || isOwn;
      if (accepted && view !== hand.view) hand = { view, from: truth.version };
      if (accepted && String(boxes) !== String(truth.boxes)) settle(boxes);
      truth.edit = { view, serial, accepted };
      return this.state();
    },
  };
}

const brief = ({ adopt, lost }) => [adopt, lost];
const silence = () => new Promise((resolve) => setImmediate(resolve));

function start(name = "a", answer = undefined) {
  const sent = [];
  const queue = boxQueue(name, (type, fields) => {
    sent.push({ type, ...fields });
    return answer;
  });
  return { queue, sent };
}

test("one edit is on its way at a time; the rest waits and goes as one", () => {
  const python = kernel();
  const { queue, sent } = start();
  queue.take(python.state());
  for (const box of ["1", "2", "3"]) queue.change({ boxes: [box] });
  assert.deepEqual(sent.map(({ boxes }) => boxes), [["1"]]);
  assert.deepEqual(brief(queue.take(python.handle(sent[0]))), [false, false]);
  assert.deepEqual(sent.map(({ boxes }) => boxes), [["1"], ["3"]]);
  assert.deepEqual(brief(queue.take(python.handle(sent[1]))), [true, false]);
  assert.deepEqual(python.truth.boxes, ["3"]);
});

test("only what others did ends a drag", () => {
  const python = kernel();
  const { queue, sent } = start();
  queue.take(python.state());
  queue.change({ boxes: ["1"] });
  assert.equal(queue.take(python.handle(sent[0])).mustYield, false);
  assert.equal(queue.take(python.state()).mustYield, false);
  python.change(["other"]);
  assert.equal(queue.take(python.state()).mustYield, true);
});

test("a state that tells nothing new leaves what waits alone", () => {
  const python = kernel();
  const { queue, sent } = start();
  queue.take(python.state());
  queue.change({ boxes: ["1"] });
  assert.equal(queue.take(python.state()).adopt, false);
  assert.equal(queue.take(python.handle(sent[0])).adopt, true);
  assert.equal(queue.take(python.state()).adopt, true);
});

test("another view's change is shown, and what waited is said to be lost", () => {
  const python = kernel();
  const { queue, sent } = start();
  queue.take(python.state());
  queue.change({ boxes: ["1"] });
  queue.change({ boxes: ["1", "2"] });
  python.change(["other"]);
  assert.deepEqual(brief(queue.take(python.state())), [true, true]);
  // The edit on its way is refused by Python, which says so itself.
  assert.deepEqual(brief(queue.take(python.handle(sent[0]))), [true, false]);
  assert.deepEqual(python.truth.boxes, ["other"]);
  queue.change({ boxes: ["other", "3"] });
  assert.deepEqual(brief(queue.take(python.handle(sent[1]))), [true, false]);
  assert.deepEqual(python.truth.boxes, ["other", "3"]);
});

test("a refused edit takes what waited with it", () => {
  const python = kernel();
  const { queue, sent } = start();
  queue.take(python.state());
  queue.change({ boxes: ["1"] });
  queue.change({ boxes: ["2"] });
  python.change(["other"]);
  assert.equal(queue.take(python.handle(sent[0])).adopt, true);
  assert.equal(sent.length, 1);
});

test("undo waits for the edit before it", () => {
  const python = kernel();
  const { queue, sent } = start();
  queue.take(python.state());
  queue.change({ boxes: ["1"] });
  queue.step("undo");
  assert.deepEqual(sent.map(({ type }) => type), ["edit"]);
  queue.take(python.handle(sent[0]));
  assert.deepEqual(sent.map(({ type }) => type), ["edit", "undo"]);
});

test("two views that draw at once lose nothing without a word", () => {
  const python = kernel();
  const views = ["a", "b"].map((name) => start(name));
  const tell = (state) => views.map(({ queue }) => queue.take(state));
  tell(python.state());
  views[0].queue.change({ boxes: ["a"] });
  views[1].queue.change({ boxes: ["b"] });
  assert.deepEqual(tell(python.handle(views[0].sent[0])).map(({ adopt }) => adopt), [true, true]);
  const refused = python.handle(views[1].sent[0]);
  assert.equal(refused.edit.accepted, false);
  tell(refused);
  views[1].queue.change({ boxes: ["a", "b"] });
  tell(python.handle(views[1].sent[1]));
  assert.deepEqual(python.truth.boxes, ["a", "b"]);
});

test("an edit that never arrived is made good by the next", async () => {
  const python = kernel();
  const { queue, sent } = start("a", null);
  queue.take(python.state());
  queue.change({ boxes: ["1"] });
  await silence();
  queue.change({ boxes: ["1", "2"] });
  assert.deepEqual(sent.map(({ boxes }) => boxes), [["1"], ["1", "2"]]);
  assert.deepEqual(brief(queue.take(python.handle(sent[1]))), [true, false]);
  assert.deepEqual(python.truth.boxes, ["1", "2"]);
});

test("an edit that never arrived goes again when the kernel is heard", async () => {
  const python = kernel();
  const { queue, sent } = start("a", null);
  queue.take(python.state());
  queue.change({ boxes: ["1"] });
  await silence();
  assert.deepEqual(brief(queue.take(python.state())), [false, false]);
  assert.equal(sent.length, 2);
  assert.deepEqual(brief(queue.take(python.handle(sent[1]))), [true, false]);
  assert.deepEqual(python.truth.boxes, ["1"]);
});

test("an edit that was only late does no harm to the next", async () => {
  const python = kernel();
  const { queue, sent } = start("a", null);
  queue.take(python.state());
  queue.change({ boxes: ["1"] });
  await silence();
  queue.change({ boxes: ["1", "2"] });
  assert.deepEqual(brief(queue.take(python.handle(sent[0]))), [false, false]);
  assert.deepEqual(brief(queue.take(python.handle(sent[1]))), [true, false]);
  assert.deepEqual(python.truth.boxes, ["1", "2"]);
});

test("an edit that never arrived and can no longer is said to be lost", async () => {
  const python = kernel();
  const { queue, sent } = start("a", null);
  queue.take(python.state());
  queue.change({ boxes: ["1"] });
  await silence();
  python.change(["other"]);
  assert.deepEqual(brief(queue.take(python.state())), [true, true]);
  queue.change({ boxes: ["other", "2"] });
  assert.deepEqual(brief(queue.take(python.handle(sent.at(-1)))), [true, false]);
  assert.deepEqual(python.truth.boxes, ["other", "2"]);
});

test("whatever order things come in, nothing is overwritten without a word", async () => {
  let state = 11;
  const next = (count) => (state = (state * 16807) % 2147483647) % count;
  for (let turn = 0; turn < 300; turn += 1) {
    const python = kernel();
    const { queue, sent } = start();
    const drawn = new Set();
    let shown = [];
    let isTold = false;
    const take = (news) => {
      const { adopt, lost } = queue.take(news);
      isTold ||= lost || (news.edit.view === "a" && !news.edit.accepted);
      if (adopt) shown = news.boxes;
    };
    take(python.state());
    for (let step = 0; step < 12; step += 1) {
      const word = `${turn}.${step}`;
      if (next(3) === 0) {
        python.change([...python.truth.boxes, word]);
        drawn.add(word);
        take(python.state());
      } else if (next(2) === 0) {
        shown = [...shown, word];
        drawn.add(word);
        queue.change({ boxes: shown });
      } else if (sent.length) take(python.handle(sent.shift()));
    }
    while (sent.length) take(python.handle(sent.shift()));
    assert.deepEqual(shown, python.truth.boxes);
    const isWhole = [...drawn].every((word) => shown.includes(word));
    assert.ok(isWhole || isTold, `turn ${turn}: ${[...drawn]} became ${shown}`);
  }
});
