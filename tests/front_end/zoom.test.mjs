import assert from "node:assert/strict";
import { test } from "node:test";
import { pathToFileURL } from "node:url";

const module = pathToFileURL(`${process.env.NBVISION_STATIC}/zoom.js`);
const {
  ZOOM_STEPS, zoomBox, zoomFit, zoomGrid, zoomHatch, zoomMargin, zoomNext, zoomPadding, zoomPatch, zoomPixel,
  zoomScroll, zoomToOriginal, zoomToResized, zoomWords,
} = await import(module);

// The documentation's page at 130 dpi on the standard tier.
const PAGE = { original: [1075, 1520], resized: [924, 1307], padded: [924, 1316], origin: [0, 0] };
const PHOTO = { original: [4032, 3024], resized: [2212, 1659], padded: [2212, 1680], origin: [0, 0] };
const CROP = { original: [800, 600], resized: [800, 600], padded: [812, 616], origin: [1000, 500] };
const square = (side) => ({ original: [side, side], resized: [side, side], padded: [side, side] });
const close = (found, expected) => assert.ok(Math.abs(found - expected) < 1e-9, `${found} ${expected}`);

test("fit shows the whole frame", () => {
  close(zoomFit("padded", [924, 658], PAGE), 0.5);
  close(zoomFit("padded", [462, 9999], PAGE), 0.5);
  close(zoomFit("original", [1075, 760], PAGE), 0.5);
});

test("fit enlarges small pictures, eightfold at most", () => {
  close(zoomFit("resized", [560, 280], square(70)), 4);
  close(zoomFit("resized", [5600, 2800], square(28)), 8);
});

test("fit keeps a strip visible, and does not count padding as seen", () => {
  const strip = { original: [1, 3000], resized: [1, 2576], padded: [28, 2576], origin: [0, 0] };
  for (const frame of ["original", "resized", "padded"]) close(zoomFit(frame, [700, 460], strip), 1);
  const thin = { original: [30, 3000], resized: [30, 3000], padded: [56, 3024], origin: [0, 0] };
  close(zoomFit("resized", [700, 300], thin), 0.1);
});

test("steps go up and down and end", () => {
  assert.deepEqual(ZOOM_STEPS, [0.5, 1, 2, 4]);
  for (const [scale, direction, expected] of [
    [0.31, 1, 0.5], [0.5, 1, 1], [1, 1, 2], [2, 1, 4], [4, 1, 4], [8, 1, 8],
    [8, -1, 4], [4, -1, 2], [1.3, -1, 1], [1, -1, 0.5], [0.5, -1, 0.5], [0.31, -1, 0.31],
  ])
    assert.equal(zoomNext(scale, direction), expected, `${scale} ${direction}`);
});

test("what lies under the pointer stays there", () => {
  const place = ({ scroll, point, length, room }, scale) =>
    (scroll + point - zoomMargin(length, room, scale)) / scale;
  for (const before of [0.2, 0.5, 1, 2])
    for (const after of [1, 2, 4]) {
      const axis = { scroll: 0, point: 350, length: 2000, room: 700 };
      axis.scroll = zoomMargin(axis.length, axis.room, before) ? 0 : 200;
      const scroll = zoomScroll(axis, before, after);
      const most = axis.length * after - axis.room;
      if (scroll > 0 && scroll < most) close(place({ ...axis, scroll }, after), place(axis, before));
      assert.ok(scroll >= 0 && scroll <= most);
    }
});

test("scrolling never leaves the frame", () => {
  assert.equal(zoomScroll({ scroll: 0, point: 0, length: 100, room: 700 }, 1, 4), 0);
  assert.equal(zoomScroll({ scroll: 1300, point: 700, length: 2000, room: 700 }, 1, 0.2), 0);
  assert.equal(zoomScroll({ scroll: 0, point: 690, length: 100, room: 700 }, 1, 10), 300);
});

test("a pixel is found at its every point, and none beside the frame", () => {
  assert.deepEqual(zoomPixel([0, 0], [10, 5], 4), [0, 0]);
  assert.deepEqual(zoomPixel([3.99, 4], [10, 5], 4), [0, 1]);
  assert.deepEqual(zoomPixel([39.9, 19.9], [10, 5], 4), [9, 4]);
  for (const place of [[-0.1, 0], [40, 0], [0, 20], [0, -1]])
    assert.equal(zoomPixel(place, [10, 5], 4), null);
});

test("pixels travel home by their middle", () => {
  assert.deepEqual(zoomToOriginal([312, 90], PHOTO), [569, 164]);
  assert.deepEqual(zoomToOriginal([0, 0], PHOTO), [0, 0]);
  assert.deepEqual(zoomToOriginal([2211, 1658], PHOTO), [4031, 3023]);
  assert.deepEqual(zoomToOriginal([24, 38], CROP), [1024, 538]);
});

test("every resized pixel comes back to itself", () => {
  for (const fit of [PAGE, PHOTO, CROP])
    for (let x = 0; x < fit.resized[0]; x += 1) {
      const pixel = [x, Math.min(x, fit.resized[1] - 1)];
      assert.deepEqual(zoomToResized(zoomToOriginal(pixel, fit), fit), pixel);
    }
});

test("places outside a frame are pulled inside", () => {
  assert.deepEqual(zoomToResized([-5, 9999], PAGE), [0, 1306]);
});

test("patches are 28 pixels", () => {
  for (const [pixel, patch] of [[[0, 0], [0, 0]], [[27, 28], [0, 1]], [[312, 90], [11, 3]]])
    assert.deepEqual(zoomPatch(pixel), patch);
});

test("the words for a pixel", () => {
  assert.equal(zoomWords("resized", [312, 90], PHOTO), "resized 312, 90 · original 569, 164 · patch 11, 3");
  assert.equal(zoomWords("original", [569, 164], PHOTO), "original 569, 164 · resized 312, 90 · patch 11, 3");
  assert.equal(zoomWords("padded", [3, 1310], PAGE), "padded 3, 1310 · padding, not in your picture · patch 0, 46");
  assert.equal(zoomWords("padded", [3, 1306], PAGE), "padded 3, 1306 · original 4, 1519 · patch 0, 46");
  assert.equal(zoomWords("original", [24, 38], CROP), "crop 24, 38 · original 1024, 538 · resized 24, 38 · patch 0, 1");
});

test("boxes of the original lie on every frame", () => {
  const box = { left: 0, top: 1300, right: 1075, bottom: 1520 };
  assert.deepEqual(zoomBox(box, "original", PAGE), box);
  for (const frame of ["resized", "padded"]) {
    const found = zoomBox(box, frame, PAGE);
    close(found.right, 924);
    close(found.top, (1300 * 1307) / 1520);
    close(found.bottom, 1307);
  }
});

test("boxes are clamped to a crop, and left out where they miss it", () => {
  const box = { left: 900, top: 400, right: 1100, bottom: 700 };
  assert.deepEqual(zoomBox(box, "original", CROP), { left: 0, top: 0, right: 100, bottom: 200 });
  for (const missed of [
    { left: 0, top: 0, right: 1000, bottom: 900 },
    { left: 1800, top: 0, right: 1900, bottom: 900 },
    { left: 1100, top: 0, right: 1900, bottom: 500 },
    { left: 1100, top: 1100, right: 1900, bottom: 1200 },
  ])
    assert.equal(zoomBox(missed, "resized", CROP), null);
});

test("grid lines lie in the middle of screen pixels, one for each edge between patches", () => {
  const path = zoomGrid([84, 57], 0.37);
  const at = [...path.matchAll(/M([\d.]+) ([\d.]+)/g)].map(([, x, y]) => [Number(x), Number(y)]);
  assert.deepEqual(at, [[10.5, 0], [21.5, 0], [0, 10.5], [0, 21.5]]);
  assert.equal(zoomGrid([28, 28], 4), "");
});

test("padding in words", () => {
  assert.equal(zoomPadding(PAGE), "Padding: 9 px below, filled in by the service");
  assert.equal(zoomPadding(CROP), "Padding: 12 px on the right and 16 px below, filled in by the service");
  assert.match(zoomPadding(square(28)), /^No padding/);
});

test("padding as a path", () => {
  assert.equal(zoomHatch(PAGE, 1), "M0 1307H924V1316H0Z");
  assert.equal(zoomHatch(CROP, 0.5), "M400 0H406V308H400ZM0 300H400V308H0Z");
  assert.equal(zoomHatch(square(28), 4), "");
});
