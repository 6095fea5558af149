import { lazy, Suspense, useState } from "react";
import { metric } from "@/format";
import { t } from "@/texts/run";
import { type Column, DataTable } from "@/ui/DataTable";
import type { Chart, Curve, Origin } from "./metrics";

const LineChart = lazy(() => import("@/chart/LineChart").then((module) => ({ default: module.LineChart })));

const SWATCHES: Record<Origin, string> = {
  training: "bg-curve-training",
  devices: "bg-curve-devices",
  hub: "bg-curve-hub",
};

/** One metric over the rounds: the curves, their values at the pointer or now, and the same as a table. */
export function MetricChart({ chart }: { chart: Chart }) {
  const [point, setPoint] = useState<number | null>(null);
  const summary = chart.curves.map((curve) =>
    t.run.latest(t.run.origins[curve.origin], valueText(last(curve))),
  );
  return (
    <figure className="min-w-0 rounded-lg border border-line bg-surface p-4 shadow-card">
      <figcaption className="mb-2 flex min-h-6 flex-wrap items-center gap-x-4 gap-y-1">
        <span className="font-semibold">{chart.name}</span>
        {chart.curves.map((curve) => (
          <span key={curve.origin} className="inline-flex items-center gap-1.5">
            <span aria-hidden className={`h-0.5 w-3 rounded-full ${SWATCHES[curve.origin]}`} />
            <span className="text-muted">{t.run.origins[curve.origin]}</span>
            <span className="font-medium">
              {valueText(point === null ? last(curve) : curve.values[point])}
            </span>
          </span>
        ))}
        {point !== null && (
          <span className="ml-auto text-muted">{t.runs.round(String(chart.rounds[point] ?? ""))}</span>
        )}
      </figcaption>
      <Suspense fallback={<div className="h-[210px] animate-pulse-soft rounded bg-raised" />}>
        <LineChart
          x={chart.rounds}
          lines={chart.curves.map(({ origin, values }) => ({
            label: t.run.origins[origin],
            colour: `curve-${origin}`,
            values,
          }))}
          label={t.run.chartLabel(chart.name, summary.join(" "))}
          onPoint={setPoint}
        />
      </Suspense>
      <details className="mt-2">
        <summary className="cursor-pointer text-muted text-xs">{t.data}</summary>
        <div className="mt-2">
          <DataTable
            caption={t.run.chartCaption(chart.name)}
            columns={columns(chart)}
            rows={[...chart.rounds.keys()]}
            rowKey={(index) => index}
          />
        </div>
      </details>
    </figure>
  );
}

function columns(chart: Chart): Column<number>[] {
  return [
    { id: "round", header: t.run.columns.round, cell: (index) => chart.rounds[index] },
    ...chart.curves.map(
      (curve): Column<number> => ({
        id: curve.origin,
        header: t.run.origins[curve.origin],
        align: "right",
        cell: (index) => valueText(curve.values[index]),
      }),
    ),
  ];
}

function last(curve: Curve): number | null {
  return curve.values.findLast((value) => value !== null) ?? null;
}

function valueText(value: number | null | undefined): string {
  return value === null || value === undefined ? t.none : metric(value);
}
