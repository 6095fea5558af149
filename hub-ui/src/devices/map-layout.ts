/** Where the cells of a map of the fleet are; without React. */

export interface Layout {
  /** Pixels from one cell to the next. */
  pitch: number;
  /** Pixels of a cell's side. */
  side: number;
  columns: number;
  height: number;
}

const PITCHES = [44, 36, 28, 22, 18, 15, 12, 10, 8, 7, 6, 5];
/** Pixels that a map may be high; a larger fleet has smaller cells. */
const HIGHEST = 420;

/** The largest cells with which the map is not too high. */
export function layOut(cells: number, width: number): Layout {
  const smallest = PITCHES.at(-1) ?? 5;
  const pitch = PITCHES.find((each) => each * Math.ceil(cells / perRow(width, each)) <= HIGHEST) ?? smallest;
  const columns = perRow(width, pitch);
  return {
    pitch,
    side: pitch - (pitch > 12 ? 3 : 1),
    columns,
    height: pitch * Math.max(1, Math.ceil(cells / columns)),
  };
}

/** The cell at a place of the map; -1 where there is none. */
export function cellAt({ pitch, columns }: Layout, cells: number, x: number, y: number): number {
  const column = Math.floor(x / pitch);
  const index = Math.floor(y / pitch) * columns + column;
  return column < 0 || column >= columns || y < 0 || index >= cells ? -1 : index;
}

/** Pixels from the map's upper left corner to the cell's. */
export function placeOf({ pitch, columns }: Layout, index: number): { left: number; top: number } {
  return { left: (index % columns) * pitch, top: Math.floor(index / columns) * pitch };
}

/** Which cell an arrow key leads to; the same at an edge. */
export function moved({ columns }: Layout, cells: number, from: number, key: string): number {
  const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[key] ?? 0;
  const to = from + step;
  return to < 0 || to >= cells ? from : to;
}

function perRow(width: number, pitch: number): number {
  return Math.max(1, Math.floor(width / pitch));
}
