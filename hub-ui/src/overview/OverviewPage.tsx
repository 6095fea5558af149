import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Cpu } from "lucide-react";
import { type ReactNode, useMemo } from "react";
import { DeviceCounts } from "@/devices/DeviceCounts";
import { FleetMap } from "@/devices/FleetMap";
import { byName } from "@/devices/filter";
import { type Fleet, fleetQuery } from "@/devices/fleet";
import { count } from "@/format";
import { useMay } from "@/session/may";
import { t } from "@/texts";
import { buttonLook } from "@/ui/Button";
import { Card } from "@/ui/Card";
import { Command } from "@/ui/Command";
import { Empty } from "@/ui/Empty";
import { Loaded } from "@/ui/Loaded";
import { Page } from "@/ui/Page";
import { Ago } from "@/ui/Time";
import { Changes } from "./Changes";
import { OpenAlerts } from "./OpenAlerts";
import { Running } from "./Running";

/** The health of the fleet at a glance, what runs, what is wrong, and what has changed since the last visit. */
export function OverviewPage() {
  const query = useQuery(fleetQuery);
  return (
    <Page title={t.overview.title}>
      <Loaded query={query}>
        {(fleet) => (fleet.size === 0 ? <NoFleet /> : <Overview fleet={fleet} />)}
      </Loaded>
    </Page>
  );
}

function Overview({ fleet }: { fleet: Fleet }) {
  const devices = useMemo(
    () =>
      [...fleet.values()]
        .filter(({ status }) => status !== "revoked")
        .sort((one, other) => (one.site ?? "").localeCompare(other.site ?? "") || byName(one, other)),
    [fleet],
  );
  return (
    <div className="space-y-8">
      <Card title={t.overview.fleet} action={<AsTable />}>
        <div className="mb-3 flex flex-wrap items-start justify-between gap-x-10 gap-y-3">
          <DeviceCounts devices={devices} />
          <Waiting fleet={fleet} />
        </div>
        <FleetMap devices={devices} />
      </Card>
      <div className="grid gap-8 lg:grid-cols-2">
        <Running />
        <OpenAlerts />
      </div>
      <Changes />
    </div>
  );
}

function AsTable() {
  return (
    <Link to="/devices" className="text-accent hover:underline">
      {t.overview.asTable}
    </Link>
  );
}

/** What the whole fleet has not delivered yet, and what it had to drop. */
function Waiting({ fleet }: { fleet: Fleet }) {
  let backlog = 0;
  let behind = 0;
  let dropped = 0;
  let lost = 0;
  let oldest = Number.POSITIVE_INFINITY;
  for (const device of fleet.values()) {
    if (device.status === "revoked") continue;
    if (device.backlog) {
      backlog += device.backlog;
      behind += 1;
      oldest = Math.min(oldest, device.oldest ?? oldest);
    }
    if (device.dropped) {
      dropped += device.dropped;
      lost += 1;
    }
  }
  return (
    <dl className="flex flex-wrap gap-x-8 gap-y-2">
      <Figure name={t.overview.backlog} value={backlog}>
        {backlog === 0 ? t.overview.noBacklog : t.overview.backlogText(count(behind))}
        {Number.isFinite(oldest) && backlog > 0 && (
          <>
            {", "}
            {t.devices.oldest} <Ago at={oldest} />
          </>
        )}
      </Figure>
      <Figure name={t.overview.dropped} value={dropped} bad={dropped > 0}>
        {dropped === 0 ? t.overview.noneDropped : t.overview.droppedText(count(lost))}
      </Figure>
    </dl>
  );
}

function Figure({
  name,
  value,
  bad = false,
  children,
}: {
  name: string;
  value: number;
  bad?: boolean;
  children: ReactNode;
}) {
  return (
    <div>
      <dt className="text-muted text-xs">{name}</dt>
      <dd>
        <span className={`font-semibold text-lg ${bad ? "text-bad" : ""}`}>{count(value)}</span>{" "}
        <span className="text-muted text-xs">{children}</span>
      </dd>
    </div>
  );
}

function NoFleet() {
  const mayEnrol = useMay("devices:enrol");
  return (
    <Empty icon={Cpu} title={t.devices.empty.title} text={t.devices.empty.text}>
      {mayEnrol && (
        <Link to="/enrol" className={buttonLook("main")}>
          {t.enrolDevices}
        </Link>
      )}
      <Command where={t.devices.empty.onHub} text="flip-hub enrolment-tokens create" />
    </Empty>
  );
}
