import { expect, test } from "vitest";
import { charts } from "@/runs/metrics";
import { round } from "./things";

test("one chart per metric, one curve per origin", () => {
  const made = charts(
    [round(1, { train_metrics: { train_loss: 2 }, evaluate_metrics: { eval_loss: 1, "hub-loss": 1.5 } })],
    "accuracy",
  );
  expect(made).toEqual([
    {
      name: "loss",
      rounds: [1],
      curves: [
        { origin: "training", values: [2] },
        { origin: "devices", values: [1] },
        { origin: "hub", values: [1.5] },
      ],
    },
  ]);
});

test("what decides the best comes first, losses second", () => {
  const evaluate_metrics = { f1: 0.5, loss: 1, auc: 0.7, eval_acc: 0.8 };
  const names = charts([round(1, { evaluate_metrics })], "accuracy").map((chart) => chart.name);
  expect(names).toEqual(["accuracy", "loss", "auc", "f1"]);
});

test("a round without a value is a gap, and rounds stand in their order", () => {
  const made = charts(
    [round(3, { evaluate_metrics: { loss: 1 } }), round(2), round(1, { evaluate_metrics: { loss: 3 } })],
    "",
  );
  expect(made[0]?.rounds).toEqual([1, 2, 3]);
  expect(made[0]?.curves[0]?.values).toEqual([3, null, 1]);
});

test("without metrics there is no chart", () => {
  expect(charts([round(1)], "accuracy")).toEqual([]);
});
