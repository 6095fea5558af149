import { useQuery } from "@tanstack/react-query";
import { useParams } from "@tanstack/react-router";
import { CircleX, TriangleAlert } from "lucide-react";
import type { RunDetail } from "@/api/types";
import { modelOfApp } from "@/models/name";
import { t } from "@/texts/run";
import { BackLink } from "@/ui/BackLink";
import { Callout } from "@/ui/Callout";
import { Loaded } from "@/ui/Loaded";
import { Page, Section } from "@/ui/Page";
import { Contributions } from "./Contributions";
import { Late } from "./Late";
import { MetricChart } from "./MetricChart";
import { charts as chartsOf } from "./metrics";
import { isOver } from "./progress";
import { runQuery } from "./queries";
import { Receipts } from "./Receipts";
import { RoundsTable } from "./RoundsTable";
import { RunControls } from "./RunControls";
import { RunFacts } from "./RunFacts";
import { RunLogs } from "./RunLogs";
import { RunProgress } from "./RunProgress";
import { RunState } from "./RunState";
import { TimeSpent } from "./TimeSpent";
import { Turnout } from "./Turnout";

export function RunPage() {
  const { id } = useParams({ from: "/signed-in/runs/$id" });
  const query = useQuery(runQuery(id));
  const run = query.data?.run;
  return (
    <Page
      title={run?.app ?? id}
      above={<BackLink to="/runs">{t.back.runs}</BackLink>}
      aside={run && <RunState status={run.status} />}
      actions={run && <RunControls run={run} />}
    >
      <Loaded query={query}>{(detail) => <Detail {...detail} />}</Loaded>
    </Page>
  );
}

function Detail({ run, rounds }: RunDetail) {
  const charts = chartsOf(rounds, run.metric);
  return (
    <>
      <div className="space-y-4">
        <RunProgress run={run} rounds={rounds} wide />
        {!isOver(run) && <Turnout run={run} />}
        {run.reason && (
          <Callout tone="bad" icon={CircleX} title={isOver(run) ? t.run.failed : t.run.standsStill}>
            <p>{run.reason}</p>
          </Callout>
        )}
        {run.warning && (
          <Callout tone="warn" icon={TriangleAlert} title={t.run.warning}>
            <p>{run.warning}</p>
          </Callout>
        )}
        <RunFacts run={run} />
      </div>
      <Section title={t.run.curves}>
        {charts.length === 0 && (
          <p className="text-muted">{isOver(run) ? t.run.nothingMeasured : t.run.noCurves}</p>
        )}
        <div className="grid gap-4 lg:grid-cols-2">
          {charts.map((chart) => (
            <MetricChart key={chart.name} chart={chart} />
          ))}
        </div>
      </Section>
      <Section title={t.run.rounds}>
        {rounds.length === 0 ? (
          <p className="text-muted">{isOver(run) ? t.run.noRoundEver : t.run.noRounds}</p>
        ) : (
          <RoundsTable
            runId={run.id}
            rounds={rounds}
            charts={charts.slice(0, TABLED)}
            model={modelOfApp(run.app)}
          />
        )}
      </Section>
      <TimeSpent run={run} />
      <Contributions runId={run.id} />
      <Receipts run={run} />
      <Late runId={run.id} />
      <RunLogs runId={run.id} />
    </>
  );
}

/** What decides and what is minimised; the other metrics have the tables under their charts. */
const TABLED = 2;
