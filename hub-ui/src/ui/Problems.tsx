import { TriangleAlert } from "lucide-react";
import { asProblem } from "@/api/problem";
import { t } from "@/texts";
import { Button } from "./Button";
import { Callout } from "./Callout";

/** A refusal in the hub's own words, with its hint. */
export function Problems({ error, retry }: { error: unknown; retry?: () => void }) {
  const problem = asProblem(error);
  return (
    <Callout tone="bad" icon={TriangleAlert} title={problem.title} role="alert">
      <p>{problem.detail}</p>
      {problem.hint && <p className="mt-1 text-muted">{problem.hint}</p>}
      {problem.traceId && (
        <p className="mt-1 text-muted text-xs">
          {t.problem.trace} <code className="break-all font-mono">{problem.traceId}</code>
        </p>
      )}
      {retry && problem.transient && (
        <Button className="mt-3" onClick={retry}>
          {t.retry}
        </Button>
      )}
    </Callout>
  );
}
