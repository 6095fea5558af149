import { useQuery } from "@tanstack/react-query";
import { SEVERITY_LOOKS } from "@/alerts/AlertLine";
import type { Condition, Device, DeviceEvent } from "@/api/types";
import { t } from "@/texts/device";
import { Callout, type Tone } from "@/ui/Callout";
import { Ago } from "@/ui/Time";
import { deviceEventsQuery } from "./queries";

const TONES: Record<Condition["severity"], Tone> = { info: "info", warning: "warn", critical: "bad" };

/** What is wrong with the device by its own account: what to do about it, and what it has done itself. */
export function Conditions({ device }: { device: Device }) {
  const { data: events } = useQuery(deviceEventsQuery(device.id));
  return (device.health?.conditions ?? []).map((condition) => {
    const repair = events?.find((event) => repairOf(event)?.code === condition.code);
    return (
      <Callout
        key={condition.code}
        tone={TONES[condition.severity]}
        icon={SEVERITY_LOOKS[condition.severity].icon}
        title={condition.title}
      >
        <p>{condition.text}</p>
        <p className="text-muted text-xs">
          {t.device.since} <Ago at={condition.since} />
        </p>
        {repair && (
          <p className="text-muted text-xs">
            {t.device.repaired(repairOf(repair)?.text ?? "")} <Ago at={repair.happened_at} />
          </p>
        )}
      </Callout>
    );
  });
}

/** `flip_wire.health.Repair`. */
function repairOf({ kind, body }: DeviceEvent): { code: string; text: string } | null {
  return kind === "repair" ? (body as { code: string; text: string }) : null;
}
