import { CircleCheck, CircleHelp, CircleSlash, type LucideIcon, TriangleAlert } from "lucide-react";
import type { Device, DeviceStatus } from "@/api/types";
import { bytes, clock } from "@/format";
import { t } from "@/texts/device";
import { Badge, type Tone } from "@/ui/Badge";
import { useNow } from "@/ui/Time";

export const LOOKS: Record<DeviceStatus, { tone: Tone; icon: LucideIcon }> = {
  ok: { tone: "ok", icon: CircleCheck },
  unhealthy: { tone: "warn", icon: TriangleAlert },
  unknown: { tone: "muted", icon: CircleHelp },
  revoked: { tone: "bad", icon: CircleSlash },
};

/**
 * What is known of a device: a silent one is unknown since its last sign of life, never "offline" or still "healthy".
 * `brief` where its conditions stand beside it.
 */
export function DeviceState({ device, brief = false }: { device: Device; brief?: boolean }) {
  const now = useNow();
  const conditions = device.status === "unhealthy" && !brief ? (device.health?.conditions ?? []) : [];
  return (
    <>
      <Badge {...LOOKS[device.status]}>{stateText(device, now)}</Badge>
      {device.status === "unknown" && device.reported && (
        <p className="text-muted text-xs md:ml-5.5">{t.devices.lastReport}</p>
      )}
      {conditions.map((condition) => (
        <p key={condition.code} title={condition.text} className="text-muted text-xs md:ml-5.5">
          {condition.title}
        </p>
      ))}
    </>
  );
}

export function stateText(device: Device, now: number): string {
  if (device.status !== "unknown") return t.devices.statuses[device.status];
  if (device.last_seen === null) return t.devices.neverSeen;
  const silent = t.devices.unknownSince(clock(device.last_seen, now));
  const until = usedUpUntil(device, now);
  return until ? `${silent}: ${until}` : silent;
}

/** Why a device is heard of so rarely: only a reserve of its day's bytes is left. Empty where there is more. */
export function usedUpUntil(device: Device, now: number): string {
  const network = device.health?.network;
  return network && (network.until ?? 0) > now
    ? t.device.usedUp(clock(network.until ?? 0, now), bytes(network.left))
    : "";
}
