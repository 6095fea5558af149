import { expect, test } from "vitest";
import { cellAt, layOut, moved, placeOf } from "@/devices/map-layout";

test("few devices have large cells, ten thousand small ones that all fit", () => {
  expect(layOut(5, 1000).pitch).toBe(44);
  const large = layOut(10_000, 1000);
  expect(large.height).toBeLessThanOrEqual(420);
  expect(large.columns * (large.height / large.pitch)).toBeGreaterThanOrEqual(10_000);
});

test("every cell is found where it is drawn, and nothing beside it", () => {
  const layout = layOut(23, 300);
  for (const index of [0, 5, 22]) {
    const { left, top } = placeOf(layout, index);
    expect(cellAt(layout, 23, left + 1, top + 1)).toBe(index);
  }
  expect(cellAt(layout, 23, 299, layout.height - 1)).toBe(-1);
  expect(cellAt(layout, 23, -1, 1)).toBe(-1);
});

test("arrow keys stop at the edges", () => {
  const layout = layOut(10, 44 * 4);
  expect(moved(layout, 10, 0, "ArrowLeft")).toBe(0);
  expect(moved(layout, 10, 0, "ArrowDown")).toBe(4);
  expect(moved(layout, 10, 9, "ArrowDown")).toBe(9);
  expect(moved(layout, 10, 9, "Tab")).toBe(9);
});
