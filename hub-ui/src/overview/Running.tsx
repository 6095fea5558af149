import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { isOver } from "@/runs/progress";
import { runsQuery } from "@/runs/queries";
import { RunProgress } from "@/runs/RunProgress";
import { RunState } from "@/runs/RunState";
import { t } from "@/texts";
import { Card } from "@/ui/Card";
import { Loaded } from "@/ui/Loaded";

/** Runs that are under way. */
export function Running() {
  const query = useQuery(runsQuery);
  return (
    <Card title={t.overview.runs}>
      <Loaded query={query}>
        {(runs) => {
          const running = runs.filter((run) => !isOver(run));
          if (running.length === 0) return <p className="text-muted">{t.overview.noRuns}</p>;
          return (
            <ul className="space-y-4">
              {running.map((run) => (
                <li key={run.id}>
                  <div className="mb-1 flex flex-wrap items-center justify-between gap-x-3">
                    <Link
                      to="/runs/$id"
                      params={{ id: run.id }}
                      className="font-medium text-accent hover:underline"
                    >
                      {run.app}
                    </Link>
                    <RunState status={run.status} />
                  </div>
                  <RunProgress run={run} wide />
                </li>
              ))}
            </ul>
          );
        }}
      </Loaded>
    </Card>
  );
}
