import { expect, test } from "vitest";
import { ago, brief, bytes, clock, duration, figure, metric } from "@/format";

test("durations show their two largest units", () => {
  expect([0, 48, 128, 3600, 90_061].map(duration)).toEqual([
    "0 sec",
    "48 sec",
    "2 min 8 sec",
    "1 hr",
    "1 day 1 hr",
  ]);
});

test("metrics keep four decimals while that says something", () => {
  expect([0.93718, 1, 1234.567].map(metric)).toEqual(["0.9372", "1.0000", "1,235"]);
});

test("figures have four digits, and very small ones are powers of ten", () => {
  expect([4.37718, 8, 0, 1e-5].map(figure)).toEqual(["4.377", "8", "0", "1e-5"]);
});

test("sizes are in powers of 1024", () => {
  expect([0, 999, 4_803_112, 6 * 2 ** 30].map(bytes)).toEqual([
    "0 bytes",
    "999 bytes",
    "4.6\u00a0MiB",
    "6\u00a0GiB",
  ]);
});

test("short times show tenths", () => {
  expect([0.04, 0.44, 9.96, 12.3].map(brief)).toEqual(["0.0 sec", "0.4 sec", "10.0 sec", "12 sec"]);
});

test("what was just seen is now; a clock ahead of ours does not show the future", () => {
  expect(ago(1000, 1003)).toBe("now");
  expect(ago(2000, 1000)).toBe("now");
  expect(ago(1000, 1000 + 3 * 3600)).toBe("3 hr. ago");
});

test("a time of another day carries its date", () => {
  const noon = new Date(2026, 10, 21, 12, 0).getTime() / 1000;
  expect(clock(noon, noon + 60)).not.toMatch(/Nov/);
  expect(clock(noon - 86_400, noon)).toMatch(/Nov 20/);
});
