import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Waypoints } from "lucide-react";
import type { Run } from "@/api/types";
import { useMay } from "@/session/may";
import { t } from "@/texts";
import { buttonLook } from "@/ui/Button";
import { Command } from "@/ui/Command";
import { type Column, DataTable } from "@/ui/DataTable";
import { Empty } from "@/ui/Empty";
import { Loaded } from "@/ui/Loaded";
import { Page } from "@/ui/Page";
import { Ago } from "@/ui/Time";
import { runsQuery } from "./queries";
import { RunProgress } from "./RunProgress";
import { RunState } from "./RunState";
import { Took } from "./Took";

export function RunsPage() {
  const query = useQuery(runsQuery);
  const mayStart = useMay("runs:operate");
  return (
    <Page title={t.runs.title} actions={mayStart && <StartLink />}>
      <Loaded query={query}>
        {(runs) =>
          runs.length === 0 ? (
            <NoRuns />
          ) : (
            <DataTable
              caption={t.runs.caption}
              columns={COLUMNS}
              rows={newestFirst(runs)}
              rowKey={(run) => run.id}
            />
          )
        }
      </Loaded>
    </Page>
  );
}

function StartLink() {
  return (
    <Link to="/runs/new" className={buttonLook("main")}>
      {t.startRun}
    </Link>
  );
}

const COLUMNS: readonly Column<Run>[] = [
  {
    id: "run",
    header: t.runs.columns.run,
    heading: true,
    cell: (run) => (
      <>
        <Link to="/runs/$id" params={{ id: run.id }} className="font-medium text-accent hover:underline">
          {run.app}
        </Link>
        <p className="font-mono text-muted text-xs">{run.id}</p>
      </>
    ),
  },
  { id: "status", header: t.runs.columns.status, cell: (run) => <RunState status={run.status} /> },
  { id: "progress", header: t.runs.columns.progress, cell: (run) => <RunProgress run={run} /> },
  { id: "started", header: t.runs.columns.started, cell: (run) => <Ago at={run.started_at} /> },
  {
    id: "took",
    header: t.runs.columns.took,
    cell: (run) => <Took from={run.started_at} to={run.finished_at} />,
  },
  { id: "result", header: t.runs.columns.result, cell: (run) => <Result run={run} /> },
];

function Result({ run }: { run: Run }) {
  if (run.reason)
    return (
      <p className="line-clamp-2 max-w-80 text-bad text-xs md:min-w-48" title={run.reason}>
        {run.reason}
      </p>
    );
  if (run.promoted_version !== null) return t.runs.promoted(run.promoted_version);
  if (run.warning)
    return <p className="line-clamp-2 max-w-80 text-warn text-xs md:min-w-48">{run.warning}</p>;
  return <span className="text-muted">{t.none}</span>;
}

function NoRuns() {
  return (
    <Empty icon={Waypoints} title={t.runs.empty.title} text={t.runs.empty.text}>
      <Command where={t.runs.empty.onHub} text="flip-hub runs start examples/digits" />
    </Empty>
  );
}

function newestFirst(runs: readonly Run[]): Run[] {
  return [...runs].sort((one, other) => other.started_at - one.started_at);
}
