import assert from "node:assert/strict";
import { test } from "node:test";
import { pathToFileURL } from "node:url";

const module = pathToFileURL(`${process.env.NBVISION_STATIC}/boxes.js`);
const {
  BOX_DIRECTIONS, boxContains, boxFromDrag, boxInMiddle, boxMoved, boxOverlap, boxResized,
  boxWithEdge, boxWithin, nearestPoint, placeFromScreen, pointWithin, smallestAt,
} = await import(module);

const FRAME = [0, 0, 100, 80];
const CROP = [500, 300, 600, 380];
const box = (left, top, right, bottom) => ({ left, top, right, bottom });
const edges = (found) => [found.left, found.top, found.right, found.bottom];

function random(seed) {
  let state = seed;
  return () => (state = (state * 16807) % 2147483647) / 2147483647;
}

function assertPossible(found, [left, top, right, bottom]) {
  assert.ok(edges(found).every(Number.isInteger), JSON.stringify(found));
  assert.ok(left <= found.left && found.left < found.right && found.right <= right);
  assert.ok(top <= found.top && found.top < found.bottom && found.bottom <= bottom);
}

for (const [name, from, to, expected] of [
  ["down right", [10, 20], [30, 60], [10, 20, 30, 60]],
  ["up left", [30, 60], [10, 20], [10, 20, 30, 60]],
  ["down left", [30, 20], [10, 60], [10, 20, 30, 60]],
  ["to the nearest whole pixel", [10.4, 20.5], [29.6, 59.5], [10, 21, 30, 60]],
  ["out of the picture", [90, 70], [500, -40], [90, 0, 100, 70]],
  ["not at all", [10, 20], [10, 20], [10, 20, 11, 21]],
  ["along one axis", [10, 20], [40, 20], [10, 20, 40, 21]],
  ["not at all in the last corner", [100, 80], [100, 80], [99, 79, 100, 80]],
  ["entirely outside", [150, 120], [190, 130], [99, 79, 100, 80]],
  ["entirely before it", [-50, -20], [-10, -5], [0, 0, 1, 1]],
])
  test(`a drag ${name}`, () => {
    const [start, end] = [from, to].map(([x, y]) => ({ x, y }));
    assert.deepEqual(edges(boxFromDrag(start, end, FRAME)), expected);
  });

test("a crop's boxes are in pixels of the full picture", () => {
  const found = boxFromDrag({ x: 400, y: 310 }, { x: 550, y: 999 }, CROP);
  assert.deepEqual(edges(found), [500, 310, 550, 380]);
  assert.deepEqual(edges(boxMoved(found, 999, -999, CROP)), [550, 300, 600, 370]);
});

for (const [name, across, down, expected] of [
  ["inside", 5, -5, [15, 15, 35, 55]],
  ["by parts of a pixel", 0.4, 0.6, [10, 21, 30, 61]],
  ["to the left edge, keeping its size", -50, 0, [0, 20, 20, 60]],
  ["to the far corner, keeping its size", 500, 500, [80, 40, 100, 80]],
])
  test(`a move ${name}`, () =>
    assert.deepEqual(edges(boxMoved(box(10, 20, 30, 60), across, down, FRAME)), expected));

test("a box as large as the picture cannot move", () =>
  assert.deepEqual(edges(boxMoved(box(...FRAME), 7, -7, FRAME)), FRAME));

const RESIZED = {
  nw: [13, 24, 30, 60], n: [10, 24, 30, 60], ne: [10, 24, 33, 60], e: [10, 20, 33, 60],
  se: [10, 20, 33, 64], s: [10, 20, 30, 64], sw: [13, 20, 30, 64], w: [13, 20, 30, 60],
};
test("each handle moves its own edges", () => {
  assert.deepEqual(BOX_DIRECTIONS.toSorted(), Object.keys(RESIZED).toSorted());
  for (const direction of BOX_DIRECTIONS) {
    const found = boxResized(box(10, 20, 30, 60), direction, 3, 4, FRAME);
    assert.deepEqual(edges(found), RESIZED[direction], direction);
  }
});

for (const [name, direction, across, down, expected] of [
  ["past the opposite edge turns it over", "w", 30, 0, [30, 20, 40, 60]],
  ["past the opposite corner turns it over", "se", -25, -45, [5, 15, 10, 20]],
  ["onto the opposite edge leaves a pixel", "e", -20, 0, [10, 20, 11, 60]],
  ["out of the picture stops at its edge", "se", 500, 500, [10, 20, 100, 80]],
])
  test(`a handle ${name}`, () => {
    const found = boxResized(box(10, 20, 30, 60), direction, across, down, FRAME);
    assert.deepEqual(edges(found), expected);
  });

for (const [name, edge, value, expected] of [
  ["inside", "left", 12, [12, 20, 30, 60]],
  ["past its opposite stops a pixel before it", "left", 70, [29, 20, 30, 60]],
  ["past its opposite stops a pixel after it", "bottom", 3, [10, 20, 30, 21]],
  ["out of the picture", "right", 1e9, [10, 20, 100, 60]],
  ["out of the picture above", "top", -4, [10, 0, 30, 60]],
  ["in parts of a pixel", "right", 33.6, [10, 20, 34, 60]],
  ["that is no number", "right", Number.NaN, [10, 20, 30, 60]],
  ["that is endless", "left", -Infinity, [10, 20, 30, 60]],
])
  test(`an edge ${name}`, () =>
    assert.deepEqual(edges(boxWithEdge(box(10, 20, 30, 60), edge, value, FRAME)), expected));

test("labels and all else stay with a box", () => {
  const door = { ...box(10, 20, 30, 60), label: "door" };
  for (const found of [
    boxMoved(door, 1, 1, FRAME), boxResized(door, "se", 1, 1, FRAME),
    boxWithEdge(door, "left", 3, FRAME), boxWithin(door, FRAME),
  ])
    assert.equal(found.label, "door");
  assert.equal(pointWithin({ x: 1, y: 2, label: "knob" }, FRAME).label, "knob");
});

test("a point stays on the picture, its edges included", () => {
  assert.deepEqual(pointWithin({ x: -3, y: 99.6 }, FRAME), { x: 0, y: 80 });
  assert.deepEqual(pointWithin({ x: 40.4, y: 20.5 }, FRAME), { x: 40, y: 21 });
});

test("a new box is a quarter of what is seen, in its middle", () => {
  assert.deepEqual(edges(boxInMiddle(FRAME, FRAME)), [38, 30, 63, 50]);
  assert.deepEqual(edges(boxInMiddle([0, 0, 1, 1], [0, 0, 1, 1])), [0, 0, 1, 1]);
});

test("a click takes the smallest box under it, of equal ones the upper", () => {
  const boxes = [box(0, 0, 50, 50), box(10, 10, 20, 20), box(10, 10, 20, 20), box(60, 60, 70, 70)];
  assert.equal(smallestAt(boxes, { x: 15, y: 15 }), 2);
  assert.equal(smallestAt(boxes, { x: 40, y: 40 }), 0);
  assert.equal(smallestAt(boxes, { x: 55, y: 55 }), -1);
  assert.equal(smallestAt(boxes, { x: 55, y: 62 }, 5), 3);
  assert.equal(smallestAt([], { x: 0, y: 0 }), -1);
  assert.ok(boxContains(boxes[1], { x: 20, y: 20 }));
});

test("a click takes the nearest point within reach", () => {
  const points = [{ x: 10, y: 10 }, { x: 14, y: 10 }];
  assert.equal(nearestPoint(points, { x: 13, y: 10 }, 5), 1);
  assert.equal(nearestPoint(points, { x: 30, y: 10 }, 5), -1);
  assert.equal(nearestPoint([], { x: 0, y: 0 }, 5), -1);
});

test("places go to the screen and back", () => {
  const placeOnScreen = (place, shown, [left, top, right, bottom]) => ({
    x: shown.left + ((place.x - left) / (right - left)) * shown.width,
    y: shown.top + ((place.y - top) / (bottom - top)) * shown.height,
  });
  const shown = { left: 12.5, top: -40, width: 731, height: 584.8 };
  for (const frame of [FRAME, CROP]) {
    const place = { x: frame[0] + 33, y: frame[1] + 71 };
    const back = placeFromScreen(placeOnScreen(place, shown, frame), shown, frame);
    assert.ok(Math.hypot(back.x - place.x, back.y - place.y) < 1e-9);
  }
  assert.deepEqual(placeFromScreen({ x: 5, y: 5 }, { left: 0, top: 0, width: 0, height: 0 }, CROP), {
    x: 500, y: 300,
  });
});

for (const [name, one, other, expected] of [
  ["half aside", box(0, 0, 2, 2), box(1, 0, 3, 2), 1 / 3],
  ["equal", box(0, 0, 2, 2), box(0, 0, 2, 2), 1],
  ["apart", box(0, 0, 2, 2), box(5, 5, 7, 7), 0],
  ["side by side", box(0, 0, 2, 2), box(2, 0, 4, 2), 0],
  ["without area", box(1, 1, 1, 1), box(2, 2, 2, 2), 0],
  ["equal without area", box(1, 1, 1, 1), box(1, 1, 1, 1), 1],
  ["one inside the other", box(0, 0, 4, 4), box(1, 1, 3, 3), 0.25],
])
  test(`the overlap of two boxes that are ${name}`, () => {
    assert.ok(Math.abs(boxOverlap(one, other) - expected) < 1e-12);
    assert.equal(boxOverlap(one, other), boxOverlap(other, one));
  });

test("whatever is done to a box, it stays whole, in order and inside", () => {
  const next = random(7);
  const anywhere = () => next() * 400 - 150;
  for (let turn = 0; turn < 3000; turn += 1) {
    const frame = [0, 0, 1 + Math.floor(next() * 120), 1 + Math.floor(next() * 120)];
    let found = boxFromDrag({ x: anywhere(), y: anywhere() }, { x: anywhere(), y: anywhere() }, frame);
    assertPossible(found, frame);
    const size = [found.right - found.left, found.bottom - found.top];
    found = boxMoved(found, anywhere(), anywhere(), frame);
    assertPossible(found, frame);
    assert.deepEqual([found.right - found.left, found.bottom - found.top], size);
    found = boxResized(found, BOX_DIRECTIONS[turn % 8], anywhere(), anywhere(), frame);
    assertPossible(found, frame);
    found = boxWithEdge(found, ["left", "top", "right", "bottom"][turn % 4], anywhere(), frame);
    assertPossible(found, frame);
    assertPossible(boxInMiddle(frame, frame), frame);
  }
});
