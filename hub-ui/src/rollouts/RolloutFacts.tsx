import { Link } from "@tanstack/react-router";
import type { Rollout } from "@/api/types";
import { count, metric, milliseconds } from "@/format";
import { t } from "@/texts/rollouts";
import { Fact } from "@/ui/Fact";
import { ClockTime } from "@/ui/Time";

type Figures = Rollout["figures"];

/** Who, when, in place of what; and what devices tell of its answers, beside those of the version before. */
export function RolloutFacts({ rollout }: { rollout: Rollout }) {
  const { figures: now, figures_before: before } = rollout;
  const beside = (said: (figures: Figures) => string) => t.rollout.beside(said(now), said(before));
  return (
    <div className="rounded-lg border border-line bg-surface px-4 py-3 shadow-card">
      <dl className="flex flex-wrap gap-x-10 gap-y-3">
        <Fact name={t.rollout.id}>
          <span className="font-mono text-[0.8125rem]">{rollout.id}</span>
        </Fact>
        <Fact name={t.rollout.before}>
          {rollout.before === null ? t.rollout.noneBefore : t.rollouts.version(rollout.before)}
        </Fact>
        <Fact name={t.rollout.byWhom}>
          <StartedBy by={rollout.started_by} />
        </Fact>
        <Fact name={t.rollout.started}>
          <ClockTime at={rollout.started_at} />
        </Fact>
        {rollout.ended_at !== null && (
          <Fact name={t.rollout.ended}>
            <ClockTime at={rollout.ended_at} />
          </Fact>
        )}
        <Fact name={t.rollout.calls}>{beside((figures) => count(calls(figures)))}</Fact>
        <Fact name={t.rollout.errors}>{beside((figures) => count(figures.failed))}</Fact>
        <Fact name={t.rollout.latency}>{beside(latency)}</Fact>
        <Fact name={t.rollout.accuracy}>{beside(accuracy)}</Fact>
      </dl>
    </div>
  );
}

/** A run whose best version it is, or a user. */
function StartedBy({ by }: { by: string }) {
  if (!/^run-[0-9a-f]{12}$/.test(by)) return by;
  return (
    <Link to="/runs/$id" params={{ id: by }} className="text-accent hover:underline">
      {by}
    </Link>
  );
}

function calls(figures: Figures): number {
  return figures.answered + figures.failed;
}

function latency(figures: Figures): string {
  return figures.median ? milliseconds(figures.median) : t.none;
}

function accuracy(figures: Figures): string {
  return figures.judged ? metric(figures.correct / figures.judged) : t.none;
}
