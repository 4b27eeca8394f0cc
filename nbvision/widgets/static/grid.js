// Which tiles of a long grid are to be drawn, and where the cursor goes. No page needed.

export function gridColumns(width, leastWidth, gap) {
  return Math.max(1, Math.floor((width + gap) / (leastWidth + gap)));
}

export function gridHeight(count, columns, rowHeight) {
  return Math.ceil(count / columns) * rowHeight;
}

// The places that are visible, and `more` rows before and after them: from first to before last.
export function gridWindow({ top, height, rowHeight, columns, count, more = 0 }) {
  const firstRow = Math.max(0, Math.floor(top / rowHeight) - more);
  const lastRow = Math.max(0, Math.ceil((top + height) / rowHeight)) + more;
  return {
    first: Math.min(count, firstRow * columns),
    last: Math.min(count, lastRow * columns),
  };
}

// Where a key moves the cursor; null for a key that does not move it.
export function gridStep(place, key, { columns, count, rows }) {
  if (count === 0) return null;
  const last = count - 1;
  const column = place % columns;
  const down = (by) => {
    const wanted = place + by * columns;
    if (wanted > last) return Math.floor(place / columns) < Math.floor(last / columns) ? last : place;
    return wanted < 0 ? column : wanted;
  };
  switch (key) {
    case "ArrowLeft":
      return Math.max(0, place - 1);
    case "ArrowRight":
      return Math.min(last, place + 1);
    case "ArrowUp":
      return place < columns ? place : down(-1);
    case "ArrowDown":
      return down(1);
    case "PageUp":
      return down(-rows);
    case "PageDown":
      return down(rows);
    case "Home":
      return 0;
    case "End":
      return last;
    default:
      return null;
  }
}

// How far to scroll so that a place is wholly visible; as it is if it is.
export function gridScroll(place, { columns, rowHeight, top, height }) {
  const above = Math.floor(place / columns) * rowHeight;
  if (above < top) return above;
  return Math.max(top, above + rowHeight - height);
}
