import { useQuery } from "@tanstack/react-query";
import { Cpu, Search } from "lucide-react";
import type { Device } from "@/api/types";
import { count } from "@/format";
import { t } from "@/texts";
import { Button } from "@/ui/Button";
import { Command } from "@/ui/Command";
import { DataTable } from "@/ui/DataTable";
import { Empty } from "@/ui/Empty";
import { Loaded } from "@/ui/Loaded";
import { Page } from "@/ui/Page";
import { COLUMNS } from "./columns";
import { LOOKS } from "./DeviceState";
import { countByStatus, matching, STATUSES } from "./filter";
import { devicesQuery } from "./queries";
import { useDeviceFilter } from "./use-filter";

export function DevicesPage() {
  const query = useQuery(devicesQuery);
  const total = query.data && (
    <span className="text-muted">{t.devices.summary(count(query.data.length))}</span>
  );
  return (
    <Page title={t.devices.title} aside={total}>
      <Loaded query={query}>
        {(devices) => (devices.length === 0 ? <NoDevices /> : <Fleet devices={devices} />)}
      </Loaded>
    </Page>
  );
}

function Fleet({ devices }: { devices: Device[] }) {
  const [filter, setFilter] = useDeviceFilter();
  const shown = matching(devices, filter);
  return (
    <>
      <Filters devices={devices} />
      {shown.length > 0 ? (
        <DataTable
          caption={t.devices.caption}
          columns={COLUMNS}
          rows={shown}
          rowKey={(device) => device.id}
        />
      ) : (
        <div className="rounded-lg border border-line border-dashed px-5 py-8 text-center text-muted">
          <p className="mb-3">{t.devices.noMatch}</p>
          <Button onClick={() => setFilter({})}>{t.devices.clear}</Button>
        </div>
      )}
    </>
  );
}

function Filters({ devices }: { devices: Device[] }) {
  const [filter, setFilter] = useDeviceFilter();
  const counts = countByStatus(devices);
  return (
    <search className="mb-4 flex flex-wrap items-center gap-2">
      <label className="relative w-full sm:w-64">
        <span className="sr-only">{t.devices.search}</span>
        <Search aria-hidden className="absolute top-2.5 left-2.5 size-4 text-muted" />
        <input
          type="search"
          value={filter.q ?? ""}
          placeholder={t.devices.search}
          onChange={(event) => setFilter({ ...filter, q: event.target.value })}
          className="h-9 w-full rounded-md border border-edge bg-surface pr-2 pl-8 placeholder:text-muted"
        />
      </label>
      <fieldset className="flex flex-wrap gap-1.5">
        <legend className="sr-only">{t.devices.status}</legend>
        {STATUSES.filter((status) => counts[status] > 0 || filter.status === status).map((status) => {
          const { icon: Icon, tone } = LOOKS[status];
          const { status: pressed, ...rest } = filter;
          return (
            <button
              key={status}
              type="button"
              aria-pressed={pressed === status}
              onClick={() => setFilter(pressed === status ? rest : { ...rest, status })}
              className="inline-flex h-9 items-center gap-1.5 rounded-md border border-line bg-surface px-2.5 hover:border-edge aria-pressed:border-accent aria-pressed:bg-accent-soft"
            >
              <Icon aria-hidden className={`size-4 ${TEXT[tone]}`} />
              {t.devices.statuses[status]}
              <span className="text-muted">{count(counts[status])}</span>
            </button>
          );
        })}
      </fieldset>
    </search>
  );
}

const TEXT = {
  ok: "text-ok",
  warn: "text-warn",
  bad: "text-bad",
  accent: "text-accent",
  muted: "text-muted",
};

function NoDevices() {
  return (
    <Empty icon={Cpu} title={t.devices.empty.title} text={t.devices.empty.text}>
      <Command where={t.devices.empty.onHub} text="flip-hub enrolment-tokens create" />
      <Command
        where={t.devices.empty.onDevice}
        text={`flip-agent enrol ${location.origin} --token ${t.devices.empty.token}`}
      />
    </Empty>
  );
}
