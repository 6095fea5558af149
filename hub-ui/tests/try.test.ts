import { expect, test } from "vitest";
import { Problem } from "@/api/problem";
import { forEachOf } from "@/devices/bulk";
import {
  exampleOf,
  inputOf,
  numbersIn,
  requestOf,
  scaleOf,
  scoresOf,
  sideOf,
  sizeOf,
} from "@/models/try/input";
import { version } from "./things";

function of(shape: number[], dtype = "float32") {
  const manifest = { ...version(1).manifest, inputs: [{ name: "x", dtype, shape: [-1, ...shape] }] };
  return inputOf(version(1, { manifest }));
}

test("a picture can be drawn where an example is one", () => {
  const sides = [[64], [8, 8], [1, 28, 28], [3, 28, 28], [10], [8, 16]].map((shape) => {
    const spec = of(shape);
    return spec ? sideOf(spec) : -1;
  });
  expect(sides).toEqual([8, 8, 28, 0, 0, 0]);
});

test("what the model was checked with is the example, and says how bright a pixel is", () => {
  const probe = {
    inputs: [{ name: "x", dtype: "float32", shape: [1, 4], data: [0, 16, 3, 1] }],
    outputs: [],
  };
  const spec = of([4]);
  if (!spec) throw new Error();
  const example = exampleOf(version(1, { manifest: { ...version(1).manifest, probe } as never }), spec);
  expect(example).toEqual([0, 16, 3, 1]);
  expect([scaleOf(example), scaleOf([0, 0])]).toEqual([16, 1]);
  expect(requestOf(spec, [1, 2, 3, 4])).toEqual({
    inputs: [{ name: "x", shape: [1, 4], datatype: "FP32", data: [1, 2, 3, 4] }],
  });
  expect(sizeOf(spec)).toBe(4);
});

test("numbers are read between commas, spaces and brackets", () => {
  expect(numbersIn("[1, 2.5]\n-3e1")).toEqual([1, 2.5, -30]);
  expect(numbersIn(" ")).toEqual([]);
  expect(numbersIn("1 two")[1]).toBeNaN();
});

test("an answer is classes with their names; anything else is none", () => {
  expect(scoresOf('{"outputs": [{"data": [0.1, 0.9]}]}', ["no"])).toEqual([
    { label: "no", value: 0.1 },
    { label: "1", value: 0.9 },
  ]);
  expect(scoresOf("not JSON", [])).toEqual([]);
});

test("what is done to many goes on after a refusal, and counts each refusal by its words", async () => {
  const told: number[] = [];
  const end = await forEachOf(
    ["a", "b", "c"],
    async (id) => {
      if (id === "b") throw new Problem(409, "Conflict", "it is revoked");
    },
    ({ done }) => told.push(done),
  );
  expect(end.done).toBe(2);
  expect([...end.refused]).toEqual([["it is revoked", ["b"]]]);
  expect(told).toHaveLength(3);
});
