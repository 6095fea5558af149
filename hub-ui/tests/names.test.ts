import { expect, test } from "vitest";
import { modelOfApp } from "@/models/name";
import { roundsDone } from "@/runs/progress";
import { round, run } from "./things";

test("a model is named after its app, as the hub does it", () => {
  expect(["digits 1.0.0", "Breast_Cancer 0.2.0", "-my app- 1.0"].map(modelOfApp)).toEqual([
    "digits",
    "breast_cancer",
    "my-app",
  ]);
});

test("a round counts once it is finished", () => {
  expect(roundsDone(run({ round: 3 }))).toBe(2);
  expect(
    roundsDone(
      run({ round: 3 }),
      [1, 2, 3].map((number) => round(number, { finished_at: 1 })),
    ),
  ).toBe(3);
  expect(roundsDone(run({ round: 0 }))).toBe(0);
  expect(roundsDone(run({ round: 5, status: "finished", finished_at: 1 }))).toBe(5);
});
