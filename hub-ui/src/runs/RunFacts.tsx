import { Link } from "@tanstack/react-router";
import type { Run } from "@/api/types";
import { t } from "@/texts/run";
import { Fact } from "@/ui/Fact";
import { ClockTime } from "@/ui/Time";
import { Privacy } from "./Privacy";
import { isOver } from "./progress";
import { Took } from "./Took";

export function RunFacts({ run }: { run: Run }) {
  const configuration = Object.entries(run.config);
  return (
    <div className="rounded-lg border border-line bg-surface px-4 py-3 shadow-card">
      <dl className="flex flex-wrap gap-x-10 gap-y-3">
        <Fact name={t.runs.columns.run}>
          <span className="font-mono text-[0.8125rem]">{run.id}</span>
        </Fact>
        <Fact name={t.run.strategy}>{run.strategy || t.none}</Fact>
        {run.started_by && <Fact name={t.run.startedBy}>{run.started_by}</Fact>}
        <Fact name={t.run.started}>
          <ClockTime at={run.started_at} />
        </Fact>
        <Fact name={isOver(run) ? t.run.took : t.run.soFar}>
          <Took from={run.started_at} to={run.finished_at} />
        </Fact>
        <Fact name={t.run.metric}>{run.metric}</Fact>
        <Fact name={t.run.promotes}>
          <AtTheEnd run={run} />
        </Fact>
        {run.privacy && <Privacy spent={run.privacy} />}
      </dl>
      {configuration.length > 0 && (
        <details className="mt-3 border-line border-t pt-2.5">
          <summary className="cursor-pointer text-muted">{t.run.configuration}</summary>
          <dl className="mt-2 grid grid-cols-[auto_minmax(0,1fr)] gap-x-6 gap-y-1 font-mono text-[0.8125rem]">
            {configuration.map(([key, value]) => (
              <div key={key} className="contents">
                <dt className="text-muted">{key}</dt>
                <dd className="break-words">{String(value)}</dd>
              </div>
            ))}
          </dl>
        </details>
      )}
    </div>
  );
}

function AtTheEnd({ run }: { run: Run }) {
  if (run.rollout)
    return (
      <Link to="/rollouts/$id" params={{ id: run.rollout }} className="text-accent hover:underline">
        {t.run.ringByRing}
      </Link>
    );
  if (run.promoted_version !== null) return t.runs.promoted(run.promoted_version);
  if (isOver(run)) return t.run.promotedNothing;
  return t.run.promote[run.promote] ?? run.promote;
}
