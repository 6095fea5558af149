import { useQueries, useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { lazy, Suspense, useState } from "react";
import type { RunDetail } from "@/api/types";
import { metric } from "@/format";
import { t } from "@/texts/run";
import { BackLink } from "@/ui/BackLink";
import { type Column, DataTable } from "@/ui/DataTable";
import { Loaded } from "@/ui/Loaded";
import { Page, Section } from "@/ui/Page";
import { Problems } from "@/ui/Problems";
import { ClockTime } from "@/ui/Time";
import { runQuery, runsQuery } from "../queries";
import { RunState } from "../RunState";
import { Took } from "../Took";
import { type Overlay, overlays } from "./overlay";
import { MOST_RUNS } from "./search";

const LineChart = lazy(() => import("@/chart/LineChart").then((module) => ({ default: module.LineChart })));

const SWATCHES = [
  "bg-compare-1",
  "bg-compare-2",
  "bg-compare-3",
  "bg-compare-4",
  "bg-compare-5",
  "bg-compare-6",
] as const;

/** The curves of several runs in one picture for each metric. */
export function ComparePage() {
  const { runs } = useSearch({ from: "/signed-in/runs/compare" });
  const results = useQueries({ queries: runs.map((id) => runQuery(id)) });
  const details = results.map(({ data }) => data).filter((data) => data !== undefined);
  const curves = overlays(details);
  const error = results.find((result) => result.isError)?.error;
  return (
    <Page title={t.run.compareTitle} above={<BackLink to="/runs">{t.back.runs}</BackLink>}>
      <Choose chosen={runs} />
      {error && <Problems error={error} />}
      {details.length === 0 ? (
        <p className="mt-6 text-muted">{t.run.compareNone}</p>
      ) : (
        <>
          <Section title={t.run.curves}>
            {curves.length === 0 && <p className="text-muted">{t.run.noCurves}</p>}
            <div className="grid gap-4 lg:grid-cols-2">
              {curves.map((overlay) => (
                <Chart key={overlay.name} overlay={overlay} details={details} />
              ))}
            </div>
          </Section>
          <Section title={t.run.compareFacts}>
            <DataTable
              caption={t.run.compareFacts}
              columns={columns(details)}
              rows={details}
              rowKey={({ run }) => run.id}
            />
          </Section>
        </>
      )}
    </Page>
  );
}

/** Runs to tick, newest first. */
function Choose({ chosen }: { chosen: readonly string[] }) {
  const query = useQuery(runsQuery);
  const navigate = useNavigate({ from: "/runs/compare" });
  const toggle = (id: string) => {
    const runs = chosen.includes(id) ? chosen.filter((each) => each !== id) : [...chosen, id];
    void navigate({ search: { runs }, replace: true });
  };
  return (
    <Loaded query={query}>
      {(runs) => (
        <fieldset className="max-h-48 overflow-y-auto rounded-lg border border-line bg-surface p-3 shadow-card">
          <legend className="sr-only">{t.run.compareChoose}</legend>
          {[...runs]
            .sort((one, other) => other.started_at - one.started_at)
            .map((run) => (
              <label
                key={run.id}
                className="flex flex-wrap items-center gap-x-3 rounded-md px-2 py-1 hover:bg-raised"
              >
                <input
                  type="checkbox"
                  checked={chosen.includes(run.id)}
                  disabled={!chosen.includes(run.id) && chosen.length >= MOST_RUNS}
                  onChange={() => toggle(run.id)}
                  className="size-4 accent-accent-fill"
                />
                <Swatch index={chosen.indexOf(run.id)} />
                <span className="font-medium">{run.app}</span>
                <span className="font-mono text-muted text-xs">{run.id}</span>
                <span className="ml-auto text-muted text-xs">
                  <ClockTime at={run.started_at} />
                </span>
              </label>
            ))}
        </fieldset>
      )}
    </Loaded>
  );
}

function Swatch({ index }: { index: number }) {
  return <span aria-hidden className={`size-2.5 rounded-full ${SWATCHES[index] ?? "border border-line"}`} />;
}

function Chart({
  overlay: { name, rounds, lines },
  details,
}: {
  overlay: Overlay;
  details: readonly RunDetail[];
}) {
  const [point, setPoint] = useState<number | null>(null);
  const told = lines.map(({ run, values }) => ({
    run,
    value: point === null ? values.findLast((each) => each !== null) : values[point],
  }));
  return (
    <figure className="min-w-0 rounded-lg border border-line bg-surface p-4 shadow-card">
      <figcaption className="mb-2 flex min-h-6 flex-wrap items-center gap-x-4 gap-y-1">
        <span className="font-semibold">{name}</span>
        {told.map(({ run, value }, index) => (
          <span key={run} className="inline-flex items-center gap-1.5">
            <Swatch index={index} />
            <span className="text-muted">{appOf(details, run)}</span>
            <span className="font-medium">{value == null ? t.none : metric(value)}</span>
          </span>
        ))}
        {point !== null && (
          <span className="ml-auto text-muted">{t.runs.round(String(rounds[point] ?? ""))}</span>
        )}
      </figcaption>
      <Suspense fallback={<div className="h-[210px] animate-pulse-soft rounded bg-raised" />}>
        <LineChart
          x={rounds}
          lines={lines.map(({ run, values }, index) => ({
            label: run,
            colour: `compare-${index + 1}`,
            values,
          }))}
          label={t.run.chartLabel(
            name,
            told.map(({ run, value }) => `${run}: ${value ?? t.none}`).join(", "),
          )}
          onPoint={setPoint}
        />
      </Suspense>
      <details className="mt-2">
        <summary className="cursor-pointer text-muted text-xs">{t.data}</summary>
        <div className="mt-2">
          <DataTable
            caption={t.run.chartCaption(name)}
            columns={[
              { id: "round", header: t.run.columns.round, cell: (index: number) => rounds[index] },
              ...lines.map(
                ({ run, values }): Column<number> => ({
                  id: run,
                  header: run,
                  align: "right",
                  cell: (index) => {
                    const value = values[index];
                    return value == null ? t.none : metric(value);
                  },
                }),
              ),
            ]}
            rows={[...rounds.keys()]}
            rowKey={(index) => index}
          />
        </div>
      </details>
    </figure>
  );
}

function appOf(details: readonly RunDetail[], id: string): string {
  const same = details.filter(({ run }) => run.app === details.find((each) => each.run.id === id)?.run.app);
  const run = details.find((each) => each.run.id === id)?.run;
  return same.length > 1 || !run ? id : run.app;
}

function columns(details: readonly RunDetail[]): Column<RunDetail>[] {
  return [
    {
      id: "run",
      header: t.runs.columns.run,
      heading: true,
      cell: ({ run }) => (
        <span className="inline-flex items-center gap-2">
          <Swatch index={details.findIndex((each) => each.run.id === run.id)} />
          <span>
            <Link to="/runs/$id" params={{ id: run.id }} className="font-medium text-accent hover:underline">
              {run.app}
            </Link>
            <span className="block font-mono text-muted text-xs">{run.id}</span>
          </span>
        </span>
      ),
    },
    { id: "status", header: t.runs.columns.status, cell: ({ run }) => <RunState status={run.status} /> },
    { id: "strategy", header: t.run.strategy, cell: ({ run }) => run.strategy || t.none },
    { id: "rounds", header: t.run.rounds, align: "right", cell: ({ rounds }) => rounds.length },
    {
      id: "took",
      header: t.run.took,
      cell: ({ run }) => <Took from={run.started_at} to={run.finished_at} />,
    },
    {
      id: "config",
      header: t.run.compareDiffers,
      cell: ({ run }) => <Differing run={run} others={details.map((each) => each.run)} />,
    },
  ];
}

/** What of its configuration another of them has otherwise. */
function Differing({ run, others }: { run: RunDetail["run"]; others: readonly RunDetail["run"][] }) {
  const differing = Object.entries(run.config).filter(([key, value]) =>
    others.some(({ config }) => config[key] !== value),
  );
  if (differing.length === 0) return <span className="text-muted">{t.none}</span>;
  return (
    <ul className="font-mono text-[0.8125rem]">
      {differing.map(([key, value]) => (
        <li key={key}>
          {key} {String(value)}
        </li>
      ))}
    </ul>
  );
}
