import { useQuery } from "@tanstack/react-query";
import { useEffect, useRef } from "react";
import type { Device } from "@/api/types";
import { clock } from "@/format";
import { useMay } from "@/session/may";
import { t } from "@/texts/device";
import { Button } from "@/ui/Button";
import { Section } from "@/ui/Page";
import { useNow } from "@/ui/Time";
import { followLogs, type LogLine, linesOf } from "./logs";
import { actionsQuery, logLinesQuery } from "./queries";

/** The newest lines of the device's logs, as they come in after somebody has asked for them. */
export function LiveLogs({ device }: { device: Device }) {
  const mayOperate = useMay("devices:operate");
  const { data: events = [] } = useQuery(logLinesQuery(device.id));
  const { data: actions = [] } = useQuery(actionsQuery(device.id));
  const now = useNow();
  const asked = actions.find(
    ({ kind, ended_at, expires_at }) => kind === "follow-logs" && (ended_at ?? expires_at) + FOLLOWED > now,
  );
  const lines = linesOf(events);
  if (!mayOperate && lines.length === 0) return null;
  const until = asked?.ended_at == null ? null : asked.ended_at + FOLLOWED;
  return (
    <Section title={t.device.logs}>
      <div className="mb-2 flex flex-wrap items-center gap-3">
        {mayOperate && device.status !== "revoked" && (
          <Button disabled={asked !== undefined} onClick={() => void followLogs(device.id)}>
            {t.device.follow}
          </Button>
        )}
        <span role="status" className="text-muted">
          {!asked
            ? t.device.followText
            : until === null
              ? t.device.followQueued
              : t.device.following(clock(until, now))}
        </span>
      </div>
      {(asked || lines.length > 0) && <Lines lines={lines} />}
    </Section>
  );
}

/** Seconds, as the agent has it. */
const FOLLOWED = 300;

function Lines({ lines }: { lines: readonly LogLine[] }) {
  const box = useRef<HTMLPreElement>(null);
  const count = lines.length;
  useEffect(() => {
    if (box.current && count > 0) box.current.scrollTop = box.current.scrollHeight;
  }, [count]);
  return (
    <pre
      ref={box}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: so that a keyboard can scroll it
      tabIndex={0}
      role="log"
      aria-label={t.device.logs}
      className="max-h-96 overflow-auto rounded-md border border-line bg-raised p-3 font-mono text-xs"
    >
      {lines.length === 0 ? t.device.noLines : lines.map(({ key, text }) => <div key={key}>{text}</div>)}
    </pre>
  );
}
