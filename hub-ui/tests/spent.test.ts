import { expect, test } from "vitest";
import type { MessageSpans, Span } from "@/api/types";
import { spentOn, worksOf } from "@/runs/spent";

test("rounds are offered newest first, and of each the training first", () => {
  const messages = [message("a", 1, "train"), message("a", 2, "evaluate"), message("b", 2, "train")];
  expect(worksOf(messages)).toEqual([
    { round: 2, phase: "train" },
    { round: 2, phase: "evaluate" },
    { round: 1, phase: "train" },
  ]);
});

test("the slowest device comes first, and only those of the round", () => {
  const messages = [
    message("a", 1, "train", [span("message", 3), span("train", 3)]),
    message("b", 1, "train", [span("message", 9), span("train", 9)]),
    message("c", 2, "train"),
  ];
  const spent = spentOn(messages, { round: 1, phase: "train" });
  expect(spent.map((each) => [each.device, each.total])).toEqual([
    ["b", 9],
    ["a", 3],
  ]);
});

test("what the governor paused of the training is waiting", () => {
  const spans = [span("message", 12), span("wait", 2), span("train", 10, { paused: "4.5" })];
  const [spent] = spentOn([message("a", 1, "train", spans)], { round: 1, phase: "train" });
  expect(spent?.parts).toEqual({ wait: 6.5, train: 5.5 });
  expect(spent?.total).toBe(12);
});

test("an error that was delivered is no result", () => {
  const spans = [span("message", 3), { ...span("train", 3), error: "out of memory" }];
  const [spent] = spentOn([message("a", 1, "train", spans)], { round: 1, phase: "train" });
  expect(spent).toMatchObject({ fate: "failed", error: "out of memory" });
});

test("without a root the machine was restarted meanwhile", () => {
  const [spent] = spentOn([message("a", 1, "train", [span("receive", 1)])], { round: 1, phase: "train" });
  expect(spent).toMatchObject({ interrupted: true, fate: "", parts: { receive: 1 } });
});

function message(device: string, round: number, phase: string, spans: Span[] = []): MessageSpans {
  return { device_id: device, message_id: `${device}${round}`, round, phase, spans };
}

function span(name: string, duration: number, attributes: Record<string, string> = {}): Span {
  const root = name === "message";
  return {
    trace_id: "0".repeat(32),
    span_id: "0".repeat(16),
    parent_id: root ? "" : "1".repeat(16),
    name,
    start: 0,
    duration,
    error: "",
    attributes: root ? { fate: "delivered" } : attributes,
  };
}
