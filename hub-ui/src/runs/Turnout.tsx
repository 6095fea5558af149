import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { CircleDashed } from "lucide-react";
import type { Absent, Run } from "@/api/types";
import { count } from "@/format";
import { t } from "@/texts/run";
import { Callout } from "@/ui/Callout";
import { ClockTime } from "@/ui/Time";
import { turnoutQuery } from "./queries";

/** Whom a run that goes on can count on now; nothing while that is every device, and enough of them. */
export function Turnout({ run }: { run: Run }) {
  const { data: turnout } = useQuery(turnoutQuery(run.id));
  if (!turnout) return null;
  const { able, absent, others } = turnout;
  const wants = run.wants ?? 0;
  if (absent.length === 0 && able >= wants) return null;
  const who = (
    <ul>
      {absent.map((device) => (
        <li key={device.device_id}>
          <Away device={device} />
        </li>
      ))}
      {others > 0 && <li>{t.run.more(count(others))}</li>}
    </ul>
  );
  return able < wants ? (
    <Callout tone="warn" icon={CircleDashed} title={t.run.tooFew(count(able), count(wants))}>
      {who}
    </Callout>
  ) : (
    <details className="text-muted">
      <summary className="cursor-pointer">
        {t.run.turnout(count(able), count(absent.length + others))}
      </summary>
      {who}
    </details>
  );
}

function Away({ device }: { device: Absent }) {
  return (
    <>
      <Link to="/devices/$id" params={{ id: device.device_id }} className="underline underline-offset-2">
        {device.name}
      </Link>
      {": "}
      {t.run.absences[device.why]}
      {device.detail && ` (${device.detail})`}
      {device.why === "unknown" &&
        (device.last_seen === null ? (
          t.run.neverHeard
        ) : (
          <>
            {t.run.since} <ClockTime at={device.last_seen} />
          </>
        ))}
    </>
  );
}
