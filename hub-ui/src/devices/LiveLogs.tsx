import { useMutation, useQuery } from "@tanstack/react-query";
import type { Device } from "@/api/types";
import { clock } from "@/format";
import { useMay } from "@/session/may";
import { t } from "@/texts/device";
import { Button } from "@/ui/Button";
import { LogBox } from "@/ui/LogBox";
import { Section } from "@/ui/Page";
import { Problems } from "@/ui/Problems";
import { useNow } from "@/ui/Time";
import { followLogs, linesOf } from "./logs";
import { actionsQuery, logLinesQuery } from "./queries";

/** The newest lines of the device's logs, as they come in after somebody has asked for them. */
export function LiveLogs({ device }: { device: Device }) {
  const mayOperate = useMay("devices:operate");
  const { data: events = [] } = useQuery(logLinesQuery(device.id));
  const { data: actions = [] } = useQuery(actionsQuery(device.id));
  const follow = useMutation({ mutationFn: () => followLogs(device.id) });
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
          <Button disabled={asked !== undefined || follow.isPending} onClick={() => follow.mutate()}>
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
      {follow.error && <Problems error={follow.error} />}
      {(asked || lines.length > 0) && <LogBox label={t.device.logs} lines={lines} empty={t.device.noLines} />}
    </Section>
  );
}

/** Seconds, as the agent has it. */
const FOLLOWED = 300;
