/** What a model is asked with, and what it answers: the Open Inference Protocol; without React. */
import type { ModelVersion } from "@/api/types";

export interface Spec {
  name: string;
  dtype: string;
  /** Of one example. */
  shape: number[];
}

const DATATYPES: Record<string, string> = {
  float32: "FP32",
  float64: "FP64",
  float16: "FP16",
  int8: "INT8",
  int16: "INT16",
  int32: "INT32",
  int64: "INT64",
  uint8: "UINT8",
  bool: "BOOL",
};

/** Its only input; undefined where it has several, which are asked by an app. */
export function inputOf({ manifest: { inputs = [] } }: ModelVersion): Spec | undefined {
  const [input, ...others] = inputs;
  if (!input || others.length > 0 || input.shape.slice(1).some((length) => length < 0)) return undefined;
  return { name: input.name, dtype: input.dtype, shape: input.shape.slice(1) };
}

export function sizeOf({ shape }: Spec): number {
  return shape.reduce((size, length) => size * length, 1);
}

/** Pixels of a side, where an example may be a square picture of one colour; 0 where it is none. */
export function sideOf(spec: Spec): number {
  const lengths = spec.shape.filter((length) => length !== 1);
  const side = Math.sqrt(sizeOf(spec));
  const square = lengths.length === 2 ? lengths[0] === lengths[1] : lengths.length === 1;
  return square && Number.isInteger(side) && side >= 5 && side <= 128 ? side : 0;
}

/** The example that the version was checked with, where it brings one. */
export function exampleOf({ manifest: { probe } }: ModelVersion, spec: Spec): number[] {
  const data = probe?.inputs?.find(({ name }) => name === spec.name)?.data ?? [];
  return data.slice(0, sizeOf(spec)) as number[];
}

/** The largest value that examples have: a drawn pixel is between 0 and this. */
export function scaleOf(example: readonly number[]): number {
  const most = Math.max(0, ...example);
  return most > 0 ? most : 1;
}

/** Numbers between commas, spaces or brackets. Throws when there are none, or others than the model takes. */
export function numbersIn(text: string): number[] {
  const words = text.split(/[\s,[\]]+/).filter(Boolean);
  return words.map(Number);
}

export function requestOf(spec: Spec, data: readonly number[]): Record<string, unknown> {
  const datatype = DATATYPES[spec.dtype] ?? spec.dtype.toUpperCase();
  return { inputs: [{ name: spec.name, shape: [1, ...spec.shape], datatype, data: [...data] }] };
}

export interface Score {
  label: string;
  value: number;
}

/** The first output, each number with its class where the version names classes; none where it is no answer. */
export function scoresOf(text: string, labels: readonly string[]): Score[] {
  try {
    const answer = JSON.parse(text) as { outputs?: { data?: number[] }[] };
    return (answer.outputs?.[0]?.data ?? []).map((value, index) => ({
      label: labels[index] ?? String(index),
      value,
    }));
  } catch {
    return [];
  }
}
