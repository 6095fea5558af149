import { expect, test } from "vitest";
import { overlays } from "@/runs/compare/overlay";
import { compareSearch } from "@/runs/compare/search";
import { EventReader } from "@/runs/log";
import { round, run } from "./things";

test("runs of different lengths lie over each other, with gaps where one has no round", () => {
  const short = { run: run({ id: "a" }), rounds: [round(1, { evaluate_metrics: { accuracy: 0.5 } })] };
  const long = {
    run: run({ id: "b" }),
    rounds: [1, 2].map((number) =>
      round(number, { evaluate_metrics: { "hub-accuracy": 0.6 + number / 10 } }),
    ),
  };
  const [accuracy] = overlays([short, long]);
  expect(accuracy?.rounds).toEqual([1, 2]);
  expect(accuracy?.lines).toEqual([
    { run: "a", values: [0.5, null] },
    { run: "b", values: [0.7, 0.8] },
  ]);
});

test("an address names up to six runs, each once", () => {
  expect(compareSearch({ runs: "run-1" })).toEqual({ runs: ["run-1"] });
  expect(compareSearch({ runs: ["a", "a", 3, "", "b"] })).toEqual({ runs: ["a", "b"] });
  expect(compareSearch({}).runs).toEqual([]);
  expect(compareSearch({ runs: "abcdefgh".split("") }).runs).toHaveLength(6);
});

test("events of a log are read however they were cut", () => {
  const reader = new EventReader();
  expect(reader.take("id: 1\ndata: one\nda")).toEqual([]);
  expect(reader.take("ta: two\n\nevent: end\n")).toEqual([{ id: "1", event: "message", data: "one\ntwo" }]);
  expect(reader.take("data:\n\n")).toEqual([{ id: "", event: "end", data: "" }]);
});
