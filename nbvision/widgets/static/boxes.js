// The arithmetic of drawing boxes: numbers in, numbers out, nothing of the page.
//
// A frame is the picture's own region in original pixels, [left, top, right, bottom]; a box has
// left, top, right and bottom in the same space, always whole and at least one pixel apart.

export const BOX_DIRECTIONS = ["nw", "n", "ne", "e", "se", "s", "sw", "w"];

function boxesClamp(value, low, high) {
  return Math.min(Math.max(value, low), Math.max(low, high));
}

// Two edges on one axis: whole, inside, in order and at least a pixel apart.
function boxesEdges(one, other, low, high) {
  const start = boxesClamp(Math.round(Math.min(one, other)), low, high - 1);
  const end = boxesClamp(Math.round(Math.max(one, other)), start + 1, high);
  return [start, end];
}

// A box as the picture can hold it, whatever its edges were.
export function boxWithin(box, [left, top, right, bottom]) {
  const [x1, x2] = boxesEdges(box.left, box.right, left, right);
  const [y1, y2] = boxesEdges(box.top, box.bottom, top, bottom);
  return { ...box, left: x1, top: y1, right: x2, bottom: y2 };
}

export function pointWithin(point, [left, top, right, bottom]) {
  const x = boxesClamp(Math.round(point.x), left, right);
  return { ...point, x, y: boxesClamp(Math.round(point.y), top, bottom) };
}

// The box between where a drag began and where it is.
export function boxFromDrag(from, to, frame) {
  const edges = { left: from.x, top: from.y, right: to.x, bottom: to.y };
  return boxWithin(edges, frame);
}

// A box shifted as a whole: at the picture's edge it stops and keeps its size.
export function boxMoved(box, across, down, [left, top, right, bottom]) {
  const x = boxesClamp(Math.round(across), left - box.left, right - box.right);
  const y = boxesClamp(Math.round(down), top - box.top, bottom - box.bottom);
  const { left: x1, top: y1, right: x2, bottom: y2 } = box;
  return { ...box, left: x1 + x, top: y1 + y, right: x2 + x, bottom: y2 + y };
}

// A box whose edges or corner follow a handle; past the opposite edge it turns over.
export function boxResized(box, direction, across, down, frame) {
  const { left, top, right, bottom } = box;
  const fresh = { ...box };
  if (direction.includes("w")) fresh.left = left + across;
  if (direction.includes("e")) fresh.right = right + across;
  if (direction.includes("n")) fresh.top = top + down;
  if (direction.includes("s")) fresh.bottom = bottom + down;
  return boxWithin(fresh, frame);
}

// A box with one edge at an exact place; it stops a pixel before the opposite one.
export function boxWithEdge(box, edge, value, [left, top, right, bottom]) {
  const limits = {
    left: [left, box.right - 1],
    top: [top, box.bottom - 1],
    right: [box.left + 1, right],
    bottom: [box.top + 1, bottom],
  };
  if (!Number.isFinite(value)) return box;
  return { ...box, [edge]: boxesClamp(Math.round(value), ...limits[edge]) };
}

// A new box in the middle of what can be seen.
export function boxInMiddle([left, top, right, bottom], frame) {
  const [width, height] = [(right - left) / 4, (bottom - top) / 4];
  const [x, y] = [(left + right) / 2, (top + bottom) / 2];
  const edges = { left: x - width / 2, right: x + width / 2 };
  return boxWithin({ ...edges, top: y - height / 2, bottom: y + height / 2 }, frame);
}

// A new box moved aside as long as another lies exactly where it would.
export function boxBeside(box, others, frame) {
  const equals = (other) => ["left", "top", "right", "bottom"].every((edge) => other[edge] === box[edge]);
  if (!others.some(equals)) return box;
  const step = Math.max(1, Math.round((box.right - box.left) / 10));
  const moved = boxMoved(box, step, step, frame);
  return moved.left === box.left && moved.top === box.top ? box : boxBeside(moved, others, frame);
}

export function boxContains(box, { x, y }, margin = 0) {
  const isAcross = x >= box.left - margin && x <= box.right + margin;
  return isAcross && y >= box.top - margin && y <= box.bottom + margin;
}

// The index of the smallest box under a place, or -1; of two equal ones the upper.
export function smallestAt(boxes, place, margin = 0) {
  let found = -1;
  let smallest = Infinity;
  boxes.forEach((box, index) => {
    const area = (box.right - box.left) * (box.bottom - box.top);
    if (area <= smallest && boxContains(box, place, margin)) [found, smallest] = [index, area];
  });
  return found;
}

// The index of the point nearest to a place within reach, or -1.
export function nearestPoint(points, place, reach) {
  let found = -1;
  let nearest = reach;
  points.forEach((point, index) => {
    const distance = Math.hypot(point.x - place.x, point.y - place.y);
    if (distance <= nearest) [found, nearest] = [index, distance];
  });
  return found;
}

// Where a place on the screen lies in the picture; `shown` is where the picture is drawn.
export function placeFromScreen(place, shown, [left, top, right, bottom]) {
  const x = shown.width ? (place.x - shown.left) / shown.width : 0;
  const y = shown.height ? (place.y - shown.top) / shown.height : 0;
  return { x: left + x * (right - left), y: top + y * (bottom - top) };
}

// Intersection over union, as Python reckons it.
export function boxOverlap(one, other) {
  const edges = ["left", "top", "right", "bottom"];
  if (edges.every((edge) => one[edge] === other[edge])) return 1;
  const width = Math.min(one.right, other.right) - Math.max(one.left, other.left);
  const height = Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top);
  const shared = Math.max(0, width) * Math.max(0, height);
  const area = (box) => (box.right - box.left) * (box.bottom - box.top);
  const union = area(one) + area(other) - shared;
  return union ? shared / union : 0;
}
