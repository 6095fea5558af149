import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Cpu } from "lucide-react";
import { useMemo, useState } from "react";
import type { Device } from "@/api/types";
import { count } from "@/format";
import { useMay } from "@/session/may";
import { t } from "@/texts";
import { Button, buttonLook } from "@/ui/Button";
import { Command } from "@/ui/Command";
import type { Column } from "@/ui/DataTable";
import { Empty } from "@/ui/Empty";
import { Loaded } from "@/ui/Loaded";
import { Page } from "@/ui/Page";
import { VirtualTable } from "@/ui/VirtualTable";
import { BulkBar } from "./BulkBar";
import { COLUMNS } from "./columns";
import { Filters } from "./Filters";
import { FleetMap } from "./FleetMap";
import { type DeviceFilter, matching } from "./filter";
import { type Fleet, fleetQuery } from "./fleet";
import { devicePagesQuery } from "./queries";
import { useDeviceFilter } from "./use-filter";

export function DevicesPage() {
  const query = useQuery(fleetQuery);
  const mayEnrol = useMay("devices:enrol");
  const total = query.data && <span className="text-muted">{t.devices.summary(count(query.data.size))}</span>;
  return (
    <Page title={t.devices.title} aside={total} actions={mayEnrol && <EnrolLink />}>
      <Loaded query={query}>
        {(fleet) => (fleet.size === 0 ? <NoDevices /> : <Devices fleet={fleet} />)}
      </Loaded>
    </Page>
  );
}

function EnrolLink() {
  return (
    <Link to="/enrol" className={buttonLook("main")}>
      {t.enrol.action}
    </Link>
  );
}

function Devices({ fleet }: { fleet: Fleet }) {
  const [filter, setFilter] = useDeviceFilter();
  const shown = useMemo(() => matching(fleet, filter), [fleet, filter]);
  const [selected, select] = useState<ReadonlySet<string>>(new Set());
  const mayOperate = useMay("devices:operate");
  return (
    <>
      <Filters fleet={fleet} shown={shown.length} />
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
          <Pages
            filter={filter}
            total={shown.length}
            {...(mayOperate && { selection: { selected, select } })}
          />
        </>
      )}
    </>
  );
}

export interface Selection {
  selected: ReadonlySet<string>;
  select: (ids: ReadonlySet<string>) => void;
}

function Pages({ filter, total, selection }: { filter: DeviceFilter; total: number; selection?: Selection }) {
  const query = useInfiniteQuery(devicePagesQuery(filter));
  const columns = selection ? [selecting(selection), ...COLUMNS] : COLUMNS;
  return (
    <Loaded query={query}>
      {({ pages }) => (
        <VirtualTable
          caption={t.devices.caption}
          columns={columns}
          rows={pages.flatMap(({ devices }) => devices)}
          rowKey={(device) => device.id}
          total={total}
          onEnd={query.fetchNextPage}
        />
      )}
    </Loaded>
  );
}

function selecting({ selected, select }: Selection): Column<Device> {
  return {
    id: "select",
    header: t.devices.select,
    cell: ({ id, name }) => (
      <input
        type="checkbox"
        aria-label={t.devices.selectOne(name)}
        checked={selected.has(id)}
        onChange={() => select(toggled(selected, id))}
        className="size-4 accent-accent-fill"
      />
    ),
  };
}

function toggled(selected: ReadonlySet<string>, id: string): ReadonlySet<string> {
  const after = new Set(selected);
  if (!after.delete(id)) after.add(id);
  return after;
}

function NoDevices() {
  const mayEnrol = useMay("devices:enrol");
  return (
    <Empty icon={Cpu} title={t.devices.empty.title} text={t.devices.empty.text}>
      {mayEnrol && (
        <Link to="/enrol" className={buttonLook("main")}>
          {t.enrol.action}
        </Link>
      )}
      <Command where={t.devices.empty.onHub} text="flip-hub enrolment-tokens create" />
    </Empty>
  );
}
