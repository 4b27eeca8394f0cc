// Where things lie when a frame is shown larger or smaller: numbers only, no elements.
//
// A fit is {original, resized, padded, origin}: three sizes [width, height] in pixels, and where
// the picture lies in a larger one that it was cut from. A frame is "original", "resized" or
// "padded". Places count from the top left; pixels are whole numbers.

export const ZOOM_PATCH = 28;
export const ZOOM_STEPS = [0.5, 1, 2, 4];

const ZOOM_LARGEST_FIT = 8;
const ZOOM_THINNEST = 3;

// The scale at which a frame is seen whole: small pictures are enlarged, and thin strips stay
// visible even if they then have to be scrolled. Padding does not count as something to see.
export function zoomFit(frame, [roomWidth, roomHeight], fit) {
  const [width, height] = fit[frame];
  const thin = Math.min(...(frame === "padded" ? fit.resized : fit[frame]));
  const whole = Math.min(roomWidth / width, roomHeight / height, ZOOM_LARGEST_FIT);
  const visible = Math.min(1, ZOOM_THINNEST / thin);
  return Math.max(whole, visible);
}

// The next fixed scale above (+1) or below (-1); the same one where there is none.
export function zoomNext(scale, direction) {
  const further = ZOOM_STEPS.filter((step) => (step - scale) * direction > 1e-6);
  if (further.length === 0) return scale;
  return direction > 0 ? Math.min(...further) : Math.max(...further);
}

// What is left free on one side of a frame that is smaller than its room.
export function zoomMargin(length, room, scale) {
  return Math.max(0, (room - length * scale) / 2);
}

// How far to scroll, on one axis, so that what lies under a point of the room stays there.
export function zoomScroll({ scroll, point, length, room }, before, after) {
  const place = (scroll + point - zoomMargin(length, room, before)) / before;
  const inside = Math.min(Math.max(place, 0), length);
  const wanted = inside * after + zoomMargin(length, room, after) - point;
  return Math.min(Math.max(wanted, 0), Math.max(0, length * after - room));
}

// The pixel of a frame at a place on it, or null beside it.
export function zoomPixel([x, y], [width, height], scale) {
  const pixel = [Math.floor(x / scale), Math.floor(y / scale)];
  const isInside = pixel[0] >= 0 && pixel[1] >= 0 && pixel[0] < width && pixel[1] < height;
  return isInside ? pixel : null;
}

// Carry the middle of a pixel to a frame of another size, and return the pixel it falls on.
function zoomCarried(pixel, from, to) {
  return pixel.map((value, axis) => {
    const place = Math.floor(((value + 0.5) * to[axis]) / from[axis]);
    return Math.min(Math.max(place, 0), to[axis] - 1);
  });
}

// The pixel of the original, in the larger picture if it was cut from one.
export function zoomToOriginal(pixel, fit) {
  const [x, y] = zoomCarried(pixel, fit.resized, fit.original);
  return [x + fit.origin[0], y + fit.origin[1]];
}

// The pixel that the model looks at, for one of the original.
export function zoomToResized([x, y], fit) {
  return zoomCarried([x - fit.origin[0], y - fit.origin[1]], fit.original, fit.resized);
}

// Column and row of the patch that a pixel of the resized or padded frame lies in.
export function zoomPatch([x, y]) {
  return [Math.floor(x / ZOOM_PATCH), Math.floor(y / ZOOM_PATCH)];
}

// The words for a pixel of a frame: where it is there, in the original, and in which patch.
export function zoomWords(frame, pixel, fit) {
  const at = (name, [x, y]) => `${name} ${x}, ${y}`;
  if (frame === "original") {
    const whole = [pixel[0] + fit.origin[0], pixel[1] + fit.origin[1]];
    const sent = zoomToResized(whole, fit);
    const isCrop = fit.origin[0] !== 0 || fit.origin[1] !== 0;
    const words = [at("original", whole), at("resized", sent), at("patch", zoomPatch(sent))];
    return (isCrop ? [at("crop", pixel), ...words] : words).join(" · ");
  }
  const isPadding = pixel[0] >= fit.resized[0] || pixel[1] >= fit.resized[1];
  const home = isPadding ? "padding, not in your picture" : at("original", zoomToOriginal(pixel, fit));
  return [at(frame, pixel), home, at("patch", zoomPatch(pixel))].join(" · ");
}

// A box of the original in pixels of a frame, clamped to the picture; null where it lies outside.
export function zoomBox({ left, top, right, bottom }, frame, fit) {
  const [width, height] = fit.original;
  const [x, y] = fit.origin;
  if (right - x <= 0 || bottom - y <= 0 || left - x >= width || top - y >= height) return null;
  const size = frame === "original" ? fit.original : fit.resized;
  const place = (value, axis) =>
    (Math.min(Math.max(value, 0), fit.original[axis]) * size[axis]) / fit.original[axis];
  return {
    left: place(left - x, 0),
    top: place(top - y, 1),
    right: place(right - x, 0),
    bottom: place(bottom - y, 1),
  };
}

// The lines between patches as one path, each in the middle of a screen pixel, so that none blurs.
export function zoomGrid([width, height], scale) {
  const crisp = (value) => Math.round(value * scale) + 0.5;
  const [right, bottom] = [width * scale, height * scale];
  let path = "";
  for (let x = ZOOM_PATCH; x < width; x += ZOOM_PATCH) path += `M${crisp(x)} 0V${bottom}`;
  for (let y = ZOOM_PATCH; y < height; y += ZOOM_PATCH) path += `M0 ${crisp(y)}H${right}`;
  return path;
}

// The area that padding adds at the right and below, as one path; empty where there is none.
export function zoomHatch({ resized, padded }, scale) {
  const [right, bottom] = resized.map((side) => side * scale);
  const [width, height] = padded.map((side) => side * scale);
  const column = width > right ? `M${right} 0H${width}V${height}H${right}Z` : "";
  const row = height > bottom ? `M0 ${bottom}H${right}V${height}H0Z` : "";
  return column + row;
}

// What padding adds to a frame, in words.
export function zoomPadding({ resized, padded }) {
  const right = padded[0] - resized[0];
  const below = padded[1] - resized[1];
  if (!right && !below) return "No padding: the sides are whole patches already";
  const sides = [right ? `${right} px on the right` : "", below ? `${below} px below` : ""];
  return `Padding: ${sides.filter(Boolean).join(" and ")}, filled in by the service`;
}
