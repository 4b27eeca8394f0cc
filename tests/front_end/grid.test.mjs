import assert from "node:assert/strict";
import test from "node:test";
import { pathToFileURL } from "node:url";

const file = pathToFileURL(`${process.env.NBVISION_STATIC}/grid.js`);
const { gridColumns, gridHeight, gridScroll, gridStep, gridWindow } = await import(file);

test("as many columns as fit, and never none", () => {
  assert.equal(gridColumns(100, 50, 10), 1);
  assert.equal(gridColumns(110, 50, 10), 2);
  assert.equal(gridColumns(0, 50, 10), 1);
});

test("height holds the last, half empty row", () => {
  assert.equal(gridHeight(0, 3, 100), 0);
  assert.equal(gridHeight(7, 3, 100), 300);
});

test("only the rows near the viewport are drawn", () => {
  const grid = { rowHeight: 100, columns: 5, count: 10_000, height: 400 };
  assert.deepEqual(gridWindow({ ...grid, top: 0 }), { first: 0, last: 20 });
  assert.deepEqual(gridWindow({ ...grid, top: 950, more: 1 }), { first: 40, last: 75 });
  assert.deepEqual(gridWindow({ ...grid, top: 1e9 }), { first: 10_000, last: 10_000 });
  assert.deepEqual(gridWindow({ ...grid, top: 0, count: 3 }), { first: 0, last: 3 });
});

test("arrows stay in the grid and in their column", () => {
  const grid = { columns: 3, count: 8, rows: 2 };
  assert.equal(gridStep(0, "ArrowLeft", grid), 0);
  assert.equal(gridStep(2, "ArrowRight", grid), 3);
  assert.equal(gridStep(1, "ArrowUp", grid), 1);
  assert.equal(gridStep(4, "ArrowUp", grid), 1);
  assert.equal(gridStep(4, "ArrowDown", grid), 7);
  assert.equal(gridStep(5, "ArrowDown", grid), 7, "the last row is shorter");
  assert.equal(gridStep(7, "ArrowDown", grid), 7);
  assert.equal(gridStep(7, "PageUp", grid), 1);
  assert.equal(gridStep(3, "PageUp", grid), 0);
  assert.equal(gridStep(0, "PageDown", grid), 6);
  assert.equal(gridStep(4, "Home", grid), 0);
  assert.equal(gridStep(4, "End", grid), 7);
  assert.equal(gridStep(4, "x", grid), null);
  assert.equal(gridStep(0, "End", { ...grid, count: 0 }), null);
});

test("scrolls no further than needed", () => {
  const grid = { columns: 2, rowHeight: 100, top: 200, height: 250 };
  assert.equal(gridScroll(4, grid), 200);
  assert.equal(gridScroll(1, grid), 0);
  assert.equal(gridScroll(9, grid), 250);
});
