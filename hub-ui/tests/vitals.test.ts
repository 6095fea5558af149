import { expect, test } from "vitest";
import type { HealthPoint } from "@/api/types";
import { drainOf, seriesOf } from "@/devices/vitals/series";

function point(at: number, depth = 0): HealthPoint {
  return { at, outbox_depth: depth } as HealthPoint;
}

test("a step without a sample between two with one is no gap, two in a row are", () => {
  const series = seriesOf([point(0), point(120), point(360)], 0, 360, 60);
  expect(series.at).toEqual([0, 120, 240, 300, 360]);
  expect(series.points.map((each) => each?.at ?? null)).toEqual([0, 120, null, null, 360]);
});

test("what was silent to the end ends in a gap", () => {
  const series = seriesOf([point(0)], 0, 300, 60);
  expect(series.points.at(-1)).toBeNull();
});

test("a backlog drains by what the newest points say", () => {
  expect(drainOf([point(0, 600), point(60, 300)])).toBe(5);
  expect(drainOf([point(0, 300), point(60, 600)])).toBe(-5);
  expect(drainOf([point(0, 300)])).toBeNull();
  expect(drainOf([])).toBeNull();
});
