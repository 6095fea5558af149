import { useState } from "react";
import { t } from "@/texts/run";
import { Button } from "@/ui/Button";
import { LogBox } from "@/ui/LogBox";
import { Section } from "@/ui/Page";
import { Problems } from "@/ui/Problems";
import { useRunLog } from "./log";

/** What the run's ServerApp writes, followed while somebody looks at it. */
export function RunLogs({ runId }: { runId: string }) {
  const [open, setOpen] = useState(false);
  return (
    <Section title={t.run.logs}>
      {open ? <Followed runId={runId} /> : <Button onClick={() => setOpen(true)}>{t.run.showLogs}</Button>}
    </Section>
  );
}

function Followed({ runId }: { runId: string }) {
  const { text, state, error } = useRunLog(runId);
  return (
    <>
      <p role="status" className="mb-2 text-muted">
        {t.run.logStates[state]}
      </p>
      {error ? <Problems error={error} /> : null}
      <LogBox label={t.run.logs} lines={text.split("\n")} empty={t.run.noLogs} />
    </>
  );
}
