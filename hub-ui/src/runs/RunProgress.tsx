import type { Round, Run } from "@/api/types";
import { count, duration } from "@/format";
import { t } from "@/texts";
import { isOver, roundsDone } from "./progress";

/** More rounds than this are drawn as one bar instead of one segment each. */
const SEGMENTS = 40;

export function RunProgress({
  run,
  rounds = [],
  wide = false,
}: {
  run: Run;
  rounds?: Round[];
  wide?: boolean;
}) {
  return (
    <div className={wide ? "w-full" : "w-48 max-w-full md:w-full md:min-w-36 md:max-w-52"}>
      <p className="mb-1.5 flex flex-wrap justify-end gap-x-3 md:justify-between">
        <span>{position(run)}</span>
        {run.eta !== null && !isOver(run) && (
          <span className="text-muted">{t.runs.left(duration(run.eta))}</span>
        )}
      </p>
      {run.rounds !== null && <Bar run={run} total={run.rounds} done={roundsDone(run, rounds)} wide={wide} />}
    </div>
  );
}

function Bar({ run, total, done, wide }: { run: Run; total: number; done: number; wide: boolean }) {
  const fill = run.status === "failed" ? "bg-bad" : run.status === "finished" ? "bg-ok" : "bg-accent";
  const height = wide ? "h-2.5" : "h-1.5";
  return (
    <div
      role="progressbar"
      aria-label={t.runs.progress}
      aria-valuemin={0}
      aria-valuemax={total}
      aria-valuenow={done}
      aria-valuetext={position(run)}
      className={`flex w-full gap-0.5 overflow-hidden rounded-full ${height} ${total > SEGMENTS ? "bg-raised" : ""}`}
    >
      {total > SEGMENTS ? (
        <div
          className={`transition-[width] duration-500 ${fill}`}
          style={{ width: `${(100 * done) / total}%` }}
        />
      ) : (
        Array.from({ length: total }, (_, index) => (
          <div
            // biome-ignore lint/suspicious/noArrayIndexKey: a segment is its round's number
            key={index}
            className={`flex-1 transition-colors duration-500 ${segment(index, done, run, fill)}`}
          />
        ))
      )}
    </div>
  );
}

function segment(index: number, done: number, run: Run, fill: string): string {
  if (index < done) return fill;
  if (index < run.round && run.status === "running") return "bg-accent/45 animate-pulse-soft";
  if (index < run.round && run.status === "failed") return "bg-bad/45";
  return "bg-line";
}

function position(run: Run): string {
  if (run.round === 0) return isOver(run) ? t.runs.noRound : t.runs.notStarted;
  return run.rounds === null
    ? t.runs.round(count(run.round))
    : t.runs.roundOf(count(run.round), count(run.rounds));
}
