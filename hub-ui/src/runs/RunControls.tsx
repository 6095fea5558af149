import { Link } from "@tanstack/react-router";
import type { Run } from "@/api/types";
import { useMay } from "@/session/may";
import { t } from "@/texts/run";
import { buttonLook } from "@/ui/Button";
import { Confirm } from "@/ui/Confirm";
import { isOver } from "./progress";
import { pauseRun, resumeRun, stopRun } from "./queries";

/** What can be done with a run as it is now, by who may. */
export function RunControls({ run }: { run: Run }) {
  const mayOperate = useMay("runs:operate");
  const words = t.run;
  return (
    <>
      <Link to="/runs/compare" search={{ runs: [run.id] }} className={buttonLook("plain")}>
        {words.compare}
      </Link>
      {mayOperate && !isOver(run) && (
        <>
          {run.status === "paused" ? (
            <Confirm
              label={words.resume}
              name={`${words.resume} ${run.id}`}
              title={words.resumeTitle(run.id)}
              text={words.resumeText}
              action={`${words.resume} ${run.id}`}
              run={() => resumeRun(run.id)}
            />
          ) : (
            <Confirm
              label={words.pause}
              name={`${words.pause} ${run.id}`}
              title={words.pauseTitle(run.id)}
              text={words.pauseText}
              action={`${words.pause} ${run.id}`}
              run={() => pauseRun(run.id)}
            />
          )}
          <Confirm
            label={words.stop}
            name={`${words.stop} ${run.id}`}
            title={words.stopTitle(run.id)}
            text={words.stopText}
            action={`${words.stop} ${run.id}`}
            tone="danger"
            run={() => stopRun(run.id)}
          />
        </>
      )}
    </>
  );
}
