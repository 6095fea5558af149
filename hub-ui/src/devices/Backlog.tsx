import { useQuery } from "@tanstack/react-query";
import type { Device } from "@/api/types";
import { count, duration, figure } from "@/format";
import { t } from "@/texts/device";
import { Ago } from "@/ui/Time";
import { vitalsQuery } from "./queries";
import { drainOf } from "./vitals/series";

/** A backlog up to this is a device between two heartbeats, not news. */
export const USUAL = 100;

/** What waits on the device for the hub, how old the oldest of it is, and how long it will take at the pace of late. */
export function Backlog({ device: { id, health, status } }: { device: Device }) {
  const { data } = useQuery({ ...vitalsQuery(id, "hour"), enabled: (health?.outbox_depth ?? 0) > USUAL });
  if (!health || status === "revoked") return t.none;
  const { outbox_depth: depth, outbox_oldest: oldest } = health;
  const rate = data ? drainOf(data.points) : null;
  return (
    <>
      {t.device.backlogText(count(depth))}
      {depth > USUAL && (
        <p className="text-muted text-xs">
          {oldest != null && (
            <>
              {t.devices.oldest} <Ago at={oldest} />
            </>
          )}
          {status !== "unknown" && rate !== null && `, ${paceText(depth, rate)}`}
        </p>
      )}
    </>
  );
}

function paceText(depth: number, rate: number): string {
  if (rate > 0) return t.device.drains(duration(depth / rate));
  return rate < 0 ? t.device.grows(figure(-rate * 60)) : t.device.stands;
}
