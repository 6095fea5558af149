import { useQuery } from "@tanstack/react-query";
import { lazy, Suspense, useState } from "react";
import type { HealthPoint } from "@/api/types";
import { clock } from "@/format";
import { t } from "@/texts/device";
import { Choices } from "@/ui/Choices";
import { type Column, DataTable } from "@/ui/DataTable";
import { Loaded } from "@/ui/Loaded";
import { Section } from "@/ui/Page";
import { useNow } from "@/ui/Time";
import { vitalsQuery } from "../queries";
import { DRAWN, type Drawn } from "./charts";
import { type Series, SPANS, type SpanName, seriesOf } from "./series";

const LineChart = lazy(() => import("@/chart/LineChart").then((module) => ({ default: module.LineChart })));

const HEIGHT = 150;
const NAMES = Object.keys(SPANS) as SpanName[];

/** The device's health over time; while it was silent there is a gap. */
export function Vitals({ id }: { id: string }) {
  const [span, choose] = useState<SpanName>("day");
  const query = useQuery(vitalsQuery(id, span));
  return (
    <Section title={t.device.vitals.title}>
      <div className="mb-3">
        <Choices
          label={t.device.vitals.span}
          choices={NAMES.map((name) => ({ value: name, label: t.device.vitals.spans[name] }))}
          value={span}
          onChange={choose}
        />
      </div>
      <Loaded query={query}>
        {({ points, since, until }) =>
          points.length === 0 ? (
            <p className="text-muted">{t.device.vitals.none}</p>
          ) : (
            <Charts series={seriesOf(points, since, until, SPANS[span].step)} />
          )
        }
      </Loaded>
    </Section>
  );
}

function Charts({ series }: { series: Series }) {
  const drawn = DRAWN.filter(({ lines }) =>
    lines.some(({ of }) => series.points.some((each) => each && of(each) !== null)),
  );
  return (
    <>
      <div className="grid gap-4 lg:grid-cols-2">
        {drawn.map((each) => (
          <Chart key={each.id} drawn={each} series={series} />
        ))}
      </div>
      <details className="mt-3">
        <summary className="cursor-pointer text-muted text-xs">{t.data}</summary>
        <div className="mt-2 max-h-96 overflow-y-auto" tabIndex={-1}>
          <DataTable
            caption={t.device.vitals.title}
            columns={columns(drawn)}
            rows={series.points
              .filter((point) => point !== null)
              .toReversed()
              .slice(0, ROWS)}
            rowKey={({ at }) => at}
          />
        </div>
      </details>
    </>
  );
}

/** Of the table: the newest. */
const ROWS = 100;

function columns(drawn: readonly Drawn[]): Column<HealthPoint>[] {
  return [
    { id: "at", header: t.device.vitals.at, heading: true, cell: ({ at }) => <At at={at} /> },
    ...drawn.map(
      ({ id, title, lines, value }): Column<HealthPoint> => ({
        id,
        header: title,
        align: "right",
        cell: (point) => {
          const shown = lines.at(-1)?.of(point);
          return shown == null ? t.none : value(shown);
        },
      }),
    ),
  ];
}

function At({ at }: { at: number }) {
  return <span className="whitespace-nowrap">{clock(at, useNow())}</span>;
}

function Chart({ drawn: { title, lines, value }, series }: { drawn: Drawn; series: Series }) {
  const [point, setPoint] = useState<number | null>(null);
  const now = useNow();
  const at = point ?? series.points.findLastIndex((each) => each !== null);
  const known = series.points[at];
  const told = lines.map(({ label, of }) => ({ label, text: textOf(known, of, value) }));
  return (
    <figure className="min-w-0 rounded-lg border border-line bg-surface p-4 shadow-card">
      <figcaption className="mb-1 flex min-h-6 flex-wrap items-center gap-x-3">
        <span className="font-semibold">{title}</span>
        {told.map(({ label, text }) => (
          <span key={label}>
            <span className="text-muted">{lines.length > 1 ? label : ""}</span>{" "}
            <span className="font-medium">{text}</span>
          </span>
        ))}
        {point !== null && (
          <span className="ml-auto text-muted text-xs">{clock(series.at[at] ?? 0, now)}</span>
        )}
      </figcaption>
      <Suspense
        fallback={<div className="animate-pulse-soft rounded bg-raised" style={{ height: HEIGHT }} />}
      >
        <LineChart
          time
          height={HEIGHT}
          value={value}
          x={series.at}
          lines={lines.map(({ label, colour, of }) => ({
            label,
            colour,
            values: series.points.map((each) => (each ? of(each) : null)),
          }))}
          label={t.device.vitals.label(title, told.map(({ label, text }) => `${label} ${text}`).join(", "))}
          onPoint={setPoint}
        />
      </Suspense>
    </figure>
  );
}

function textOf(
  point: HealthPoint | null | undefined,
  of: (point: HealthPoint) => number | null,
  value: (value: number) => string,
): string {
  const known = point ? of(point) : null;
  return known === null ? t.none : value(known);
}
