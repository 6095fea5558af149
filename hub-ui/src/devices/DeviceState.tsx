import { CircleCheck, CircleHelp, CircleSlash, type LucideIcon, TriangleAlert } from "lucide-react";
import type { Device, DeviceStatus } from "@/api/types";
import { clock } from "@/format";
import { t } from "@/texts";
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
  return device.last_seen === null
    ? t.devices.neverSeen
    : t.devices.unknownSince(clock(device.last_seen, now));
}
