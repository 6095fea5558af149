import type { Device } from "@/api/types";
import { bytes } from "@/format";
import { t } from "@/texts/device";
import { Fact } from "@/ui/Fact";
import { useNow } from "@/ui/Time";
import { Backlog } from "./Backlog";
import { DeviceState, usedUpUntil } from "./DeviceState";
import { clockText } from "./events";
import { Serving } from "./Serving";

/** What it last said of itself; of a silent device the state says since when that is old. */
export function DeviceFacts({ device }: { device: Device }) {
  const { reported, health } = device;
  const now = useNow();
  const held = reported?.held_because;
  const labels = [device.site, ...device.tags, ...device.groups].filter(Boolean);
  return (
    <dl className="flex flex-wrap gap-x-10 gap-y-3 rounded-lg border border-line bg-surface px-4 py-3 shadow-card">
      <Fact name={t.devices.columns.status}>
        <DeviceState device={device} brief />
      </Fact>
      <Fact name={t.device.mode}>{t.device.modes[reported?.mode ?? ""] ?? t.none}</Fact>
      <Fact name={t.devices.columns.serving}>
        <Serving device={device} />
      </Fact>
      <Fact name={t.devices.columns.training}>
        {reported ? (t.devices.training[reported.training] ?? reported.training) : t.none}
        {held && <p className="max-w-96 text-muted text-xs">{t.devices.held(held)}</p>}
      </Fact>
      <Fact name={t.device.temperature}>
        {health?.temperature == null ? t.none : t.device.degrees(Math.round(health.temperature))}
      </Fact>
      <Fact name={t.device.memory}>
        {health?.memory_available == null ? t.none : bytes(health.memory_available)}
      </Fact>
      <Fact name={t.device.backlog}>
        <Backlog device={device} />
      </Fact>
      <Fact name={t.device.disk}>{health ? bytes(health.disk_free) : t.none}</Fact>
      {health?.network && (
        <Fact name={t.device.network}>
          {usedUpUntil(device, now) ||
            t.device.leftToday(bytes(health.network.left), bytes(health.network.limit))}
          <p className="text-muted text-xs">{t.device.passed(usesText(health.network.passed ?? {}))}</p>
        </Fact>
      )}
      <Fact name={t.device.clock}>{health ? clockText(health.clock_offset ?? 0) : t.none}</Fact>
      <Fact name={t.device.agent}>{device.agent_version}</Fact>
      {labels.length > 0 && (
        <Fact name={t.device.labels}>
          <ul className="flex max-w-96 flex-wrap gap-1">
            {labels.map((each) => (
              <li key={each} className="rounded-sm bg-raised px-1.5 py-0.5 text-xs">
                {each}
              </li>
            ))}
          </ul>
        </Fact>
      )}
      {device.note && (
        <Fact name={t.device.note}>
          <p className="max-w-96 whitespace-pre-line break-words">{device.note}</p>
        </Fact>
      )}
    </dl>
  );
}

function usesText(passed: Record<string, number>): string {
  return Object.entries(passed)
    .map(([use, size]) => `${t.device.uses[use] ?? use} ${bytes(size)}`)
    .join(", ");
}
