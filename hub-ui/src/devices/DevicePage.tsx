import { useQuery } from "@tanstack/react-query";
import { useParams } from "@tanstack/react-router";
import { Info, type LucideIcon, OctagonAlert, TriangleAlert } from "lucide-react";
import type { Device, DeviceEvent, Severity } from "@/api/types";
import { bytes } from "@/format";
import { t } from "@/texts";
import { BackLink } from "@/ui/BackLink";
import { Callout, type Tone } from "@/ui/Callout";
import { type Column, DataTable } from "@/ui/DataTable";
import { Fact } from "@/ui/Fact";
import { Loaded } from "@/ui/Loaded";
import { Page, Section } from "@/ui/Page";
import { Ago, useNow } from "@/ui/Time";
import { DeviceState, usedUpUntil } from "./DeviceState";
import { clockText, wordsOf } from "./events";
import { Gaps } from "./Gaps";
import { Inference } from "./Inference";
import { deviceEventsQuery, deviceQuery } from "./queries";
import { Serving } from "./Serving";

export function DevicePage() {
  const { id } = useParams({ from: "/signed-in/devices/$id" });
  const query = useQuery(deviceQuery(id));
  return (
    <Page title={query.data?.name ?? id} above={<BackLink to="/devices">{t.device.back}</BackLink>}>
      <Loaded query={query}>{(device) => <Account device={device} />}</Loaded>
    </Page>
  );
}

const SEVERITIES: Record<Severity, { tone: Tone; icon: LucideIcon }> = {
  info: { tone: "info", icon: Info },
  warning: { tone: "warn", icon: TriangleAlert },
  critical: { tone: "bad", icon: OctagonAlert },
};

function Account({ device }: { device: Device }) {
  return (
    <>
      <div className="space-y-4">
        <Facts device={device} />
        {(device.health?.conditions ?? []).map((condition) => (
          <Callout key={condition.code} {...SEVERITIES[condition.severity]} title={condition.title}>
            <p>{condition.text}</p>
            <p className="text-muted text-xs">
              {t.device.since} <Ago at={condition.since} />
            </p>
          </Callout>
        ))}
      </div>
      <Inference device={device} />
      <Gaps id={device.id} />
      <Section title={t.device.events}>
        <Events id={device.id} />
      </Section>
    </>
  );
}

/** What it last said of itself; of a silent device the state says since when that is old. */
function Facts({ device }: { device: Device }) {
  const { reported, health } = device;
  const now = useNow();
  const held = reported?.held_because;
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
      <Fact name={t.device.disk}>{health ? bytes(health.disk_free) : t.none}</Fact>
      {health?.network && (
        <Fact name={t.device.network}>
          {usedUpUntil(device, now) ||
            t.device.leftToday(bytes(health.network.left), bytes(health.network.limit))}
          <p className="text-muted text-xs">{t.device.passed(usesText(health.network.passed ?? {}))}</p>
        </Fact>
      )}
      <Fact name={t.device.clock}>{health ? clockText(health.clock_offset ?? 0) : t.none}</Fact>
    </dl>
  );
}

function usesText(passed: Record<string, number>): string {
  return Object.entries(passed)
    .map(([use, size]) => `${t.device.uses[use] ?? use} ${bytes(size)}`)
    .join(", ");
}

function Events({ id }: { id: string }) {
  const query = useQuery(deviceEventsQuery(id));
  return (
    <Loaded query={query}>
      {(events) =>
        events.length === 0 ? (
          <p className="text-muted">{t.device.noEvents}</p>
        ) : (
          <DataTable
            caption={t.device.events}
            columns={EVENTS}
            rows={events}
            rowKey={(each) => each.epoch + each.seq}
          />
        )
      }
    </Loaded>
  );
}

const EVENTS: readonly Column<DeviceEvent>[] = [
  {
    id: "kind",
    header: t.device.columns.event,
    heading: true,
    cell: ({ kind }) => <span className="font-medium">{t.device.kinds[kind] ?? kind}</span>,
  },
  {
    id: "when",
    header: t.device.columns.when,
    cell: (event) => <Ago at={event.happened_at} />,
  },
  {
    id: "what",
    header: t.device.columns.what,
    cell: (event) => <span className="break-words text-muted">{wordsOf(event)}</span>,
  },
];
