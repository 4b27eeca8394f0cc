// The colours of boxes, the same as in still pictures: Okabe and Ito's, without black.

const BOX_COLOURS = ["#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7"];
const DARK_SEAMS = new Set(["#E69F00", "#56B4E9", "#F0E442", "#CC79A7"]);

// The colour of the box of this number, counted from 1.
export function boxColour(number) {
  return BOX_COLOURS[(number - 1) % BOX_COLOURS.length];
}

// What letters can be read on it.
export function inkOn(colour) {
  return colour === "#0072B2" ? "#fff" : "#000";
}

// Whether a dark seam sets it off, rather than a light one.
export function hasDarkSeam(colour) {
  return DARK_SEAMS.has(colour);
}

// An SVG element with attributes and children.
export function svgElement(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}
