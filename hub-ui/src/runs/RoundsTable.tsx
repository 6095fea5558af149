import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { LateContribution, Round, RoundTraffic } from "@/api/types";
import { useDeviceNames } from "@/devices/fleet";
import { bytes, count, metric } from "@/format";
import { t } from "@/texts/run";
import { type Column, DataTable } from "@/ui/DataTable";
import type { Chart } from "./metrics";
import { lateQuery, trafficQuery } from "./queries";
import { Took } from "./Took";

interface Props {
  runId: string;
  rounds: Round[];
  /** Whose curves become columns. */
  charts: Chart[];
  /** The model that the run makes versions of. */
  model: string;
}

/** One row per round, newest first. */
export function RoundsTable({ runId, rounds, charts, model }: Props) {
  const name = useDeviceNames();
  const { data: traffic } = useQuery(trafficQuery(runId));
  const { data: late } = useQuery(lateQuery(runId));
  const columns = [
    ...before(name),
    ...arrivals(traffic ?? [], late?.kept ?? []),
    ...charts.flatMap(metricColumns),
    version(model),
  ];
  const newestFirst = [...rounds].sort((one, other) => other.round - one.round);
  return (
    <DataTable
      caption={t.run.roundsCaption}
      columns={columns}
      rows={newestFirst}
      rowKey={(round) => round.round}
    />
  );
}

function before(name: (id: string) => string): Column<Round>[] {
  return [
    {
      id: "round",
      header: t.run.columns.round,
      heading: true,
      cell: (round) => (
        <span className="font-medium">
          <span className="md:hidden">{t.run.columns.round} </span>
          {count(round.round)}
        </span>
      ),
    },
    {
      id: "took",
      header: t.run.columns.took,
      cell: (round) =>
        round.finished_at === null ? (
          <span className="whitespace-nowrap font-medium text-accent">{t.run.inProgress}</span>
        ) : (
          <Took from={round.started_at} to={round.finished_at} />
        ),
    },
    {
      id: "answered",
      header: t.run.columns.answered,
      cell: (round) => <Answered round={round} name={name} />,
    },
    { id: "failed", header: t.run.columns.failed, cell: (round) => <Failures round={round} name={name} /> },
  ];
}

/** What came in for each round: in time, and later. */
function arrivals(traffic: readonly RoundTraffic[], late: readonly LateContribution[]): Column<Round>[] {
  const sizes = new Map(traffic.map(({ round, size }) => [round, size]));
  const columns: Column<Round>[] = [
    {
      id: "received",
      header: t.run.columns.received,
      align: "right",
      cell: ({ round }) => <span className="whitespace-nowrap">{bytes(sizes.get(round) ?? 0)}</span>,
    },
  ];
  if (late.length === 0) return columns;
  const came = (round: number) => late.filter((each) => each.round === round).length;
  return [
    { id: "late", header: t.run.columns.late, align: "right", cell: ({ round }) => count(came(round)) },
    ...columns,
  ];
}

/** More devices than this are a number, not a row of dots. */
const DOTS = 24;

function Answered({ round, name }: { round: Round; name: (id: string) => string }) {
  const answered = new Set(round.answered);
  const failed = new Set(round.failures.map((failure) => failure.device_id));
  return (
    <span className="inline-flex items-center gap-2 whitespace-nowrap">
      {t.run.answeredOf(count(answered.size), count(round.sampled.length))}
      {round.sampled.length <= DOTS && (
        <span aria-hidden className="inline-flex gap-0.5">
          {round.sampled.map((id) => (
            <span
              key={id}
              title={name(id)}
              className={`h-3 w-1.5 rounded-xs ${failed.has(id) ? "bg-bad" : answered.has(id) ? "bg-ok" : "bg-line"}`}
            />
          ))}
        </span>
      )}
    </span>
  );
}

/** So many reasons are written out; the rest wait behind a click. */
const REASONS = 2;

function Failures({ round, name }: { round: Round; name: (id: string) => string }) {
  const failures = round.failures.map((failure) => {
    const device = failure.device_id === null ? t.run.aDevice : name(failure.device_id);
    return t.run.failure(device, t.run.phases[failure.phase], failure.reason);
  });
  const lines = round.void ? [round.void, ...failures] : failures;
  if (lines.length === 0) return <span className="text-muted">{count(0)}</span>;
  return (
    <div className="max-w-80 text-bad text-xs md:min-w-44">
      {lines.slice(0, REASONS).map((line) => (
        <p key={line}>{line}</p>
      ))}
      {lines.length > REASONS && (
        <details>
          <summary className="cursor-pointer">{t.run.more(count(lines.length - REASONS))}</summary>
          {lines.slice(REASONS).map((line) => (
            <p key={line}>{line}</p>
          ))}
        </details>
      )}
    </div>
  );
}

function metricColumns(chart: Chart): Column<Round>[] {
  const row = new Map(chart.rounds.map((round, index) => [round, index]));
  return chart.curves.map((curve) => ({
    id: `${chart.name}-${curve.origin}`,
    header: `${chart.name}\n${t.run.origins[curve.origin]}`,
    align: "right",
    cell: (round) => {
      const value = curve.values[row.get(round.round) ?? -1];
      return value === null || value === undefined ? (
        <span className="text-muted">{t.none}</span>
      ) : (
        metric(value)
      );
    },
  }));
}

function version(model: string): Column<Round> {
  return {
    id: "version",
    header: t.run.columns.version,
    align: "right",
    cell: (round) => {
      if (round.version === null) return <span className="text-muted">{t.none}</span>;
      return (
        <Link to="/models/$name" params={{ name: model }} className="text-accent hover:underline">
          {count(round.version)}
        </Link>
      );
    },
  };
}
