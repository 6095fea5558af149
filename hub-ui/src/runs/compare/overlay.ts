/** The curves of several runs over each other; without React. */
import type { RunDetail } from "@/api/types";
import { charts, type Origin } from "../metrics";

export interface Overlay {
  /** Of the metric. */
  name: string;
  rounds: number[];
  lines: { run: string; values: (number | null)[] }[];
}

/** What the devices measured says more than what the hub did, and that more than a mean over training. */
const BEST: readonly Origin[] = ["devices", "hub", "training"];

/** One for each metric that one of them has; what decides is the first run's word. */
export function overlays(details: readonly RunDetail[]): Overlay[] {
  const drawn = details.map(({ run, rounds }) => ({ run: run.id, charts: charts(rounds, run.metric) }));
  const names = [...new Set(drawn.flatMap((each) => each.charts.map(({ name }) => name)))];
  return names.map((name) => {
    const found = drawn.map(({ run, charts: all }) => ({
      run,
      chart: all.find((chart) => chart.name === name),
    }));
    const rounds = [...new Set(found.flatMap(({ chart }) => chart?.rounds ?? []))].sort(
      (one, other) => one - other,
    );
    return {
      name,
      rounds,
      lines: found.map(({ run, chart }) => {
        const curve = BEST.map((origin) => chart?.curves.find((each) => each.origin === origin)).find(
          Boolean,
        );
        const values = new Map(chart?.rounds.map((round, index) => [round, curve?.values[index] ?? null]));
        return { run, values: rounds.map((round) => values.get(round) ?? null) };
      }),
    };
  });
}
