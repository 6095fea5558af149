import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Cpu } from "lucide-react";
import { lazy, Suspense, useMemo, useState } from "react";
import type { DeviceBrief } from "@/api/types";
import { count } from "@/format";
import { useMay } from "@/session/may";
import { t } from "@/texts";
import { Button, buttonLook } from "@/ui/Button";
import { Choices } from "@/ui/Choices";
import { Command } from "@/ui/Command";
import { Empty } from "@/ui/Empty";
import { Loaded, Waiting } from "@/ui/Loaded";
import { Page } from "@/ui/Page";
import { BulkBar } from "./BulkBar";
import { Filters } from "./Filters";
import { FleetMap } from "./FleetMap";
import { isFiltered, matching } from "./filter";
import { type Fleet, fleetQuery } from "./fleet";
import { useDeviceFilter } from "./use-filter";

const DeviceTable = lazy(() => import("./DeviceTable").then((module) => ({ default: module.DeviceTable })));

export function DevicesPage() {
  const query = useQuery(fleetQuery);
  const [filter] = useDeviceFilter();
  const shown = useMemo(() => query.data && matching(query.data, filter), [query.data, filter]);
  const mayEnrol = useMay("devices:enrol");
  const total = query.data && t.devices.summary(count(query.data.size));
  const chosen = shown && isFiltered(filter) && t.devices.shown(count(shown.length));
  return (
    <Page
      title={t.devices.title}
      aside={<span className="text-muted">{[total, chosen].filter(Boolean).join(", ")}</span>}
      actions={
        <>
          <ViewSwitch />
          {mayEnrol && <EnrolLink />}
        </>
      }
    >
      <Loaded query={query}>
        {(fleet) => (fleet.size === 0 ? <NoDevices /> : <Devices fleet={fleet} shown={shown ?? []} />)}
      </Loaded>
    </Page>
  );
}

function ViewSwitch() {
  const [{ view, ...rest }, setFilter] = useDeviceFilter();
  return (
    <Choices
      label={t.devices.view}
      choices={[
        { value: "table", label: t.devices.asTable },
        { value: "map", label: t.devices.asMap },
      ]}
      value={view ?? "table"}
      onChange={(chosen) => setFilter(chosen === "map" ? { ...rest, view: "map" } : rest)}
    />
  );
}

function EnrolLink() {
  return (
    <Link to="/enrol" className={buttonLook("main")}>
      {t.enrolDevices}
    </Link>
  );
}

function Devices({ fleet, shown }: { fleet: Fleet; shown: DeviceBrief[] }) {
  const [filter, setFilter] = useDeviceFilter();
  const [selected, select] = useState<ReadonlySet<string>>(new Set());
  const mayOperate = useMay("devices:operate");
  return (
    <>
      <Filters fleet={fleet} />
      {shown.length === 0 ? (
        <div className="rounded-lg border border-line border-dashed px-5 py-8 text-center text-muted">
          <p className="mb-3">{t.devices.noMatch}</p>
          <Button onClick={() => setFilter({})}>{t.devices.clear}</Button>
        </div>
      ) : filter.view === "map" ? (
        <FleetMap devices={shown} />
      ) : (
        <>
          {mayOperate && <BulkBar shown={shown} selected={selected} select={select} />}
          <Suspense fallback={<Waiting />}>
            <DeviceTable
              filter={filter}
              total={shown.length}
              {...(mayOperate && { selection: { selected, select } })}
            />
          </Suspense>
        </>
      )}
    </>
  );
}

function NoDevices() {
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
