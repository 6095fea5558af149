import { Link } from "@tanstack/react-router";
import type { Device } from "@/api/types";
import { count } from "@/format";
import { t } from "@/texts";
import type { Column } from "@/ui/DataTable";
import { Ago } from "@/ui/Time";
import { USUAL } from "./Backlog";
import { DeviceState } from "./DeviceState";
import { Serving } from "./Serving";

export const COLUMNS: readonly Column<Device>[] = [
  {
    id: "name",
    header: t.devices.columns.name,
    heading: true,
    cell: (device) => (
      <>
        <Link
          to="/devices/$id"
          params={{ id: device.id }}
          className="break-words font-medium text-accent hover:underline"
        >
          {device.name}
        </Link>
        <p className="font-mono text-muted text-xs">{device.id}</p>
      </>
    ),
  },
  { id: "status", header: t.devices.columns.status, cell: (device) => <DeviceState device={device} /> },
  { id: "serving", header: t.devices.columns.serving, cell: (device) => <Serving device={device} /> },
  { id: "training", header: t.devices.columns.training, cell: (device) => <Training device={device} /> },
  {
    id: "seen",
    header: t.devices.columns.seen,
    cell: (device) => (device.last_seen === null ? t.none : <Ago at={device.last_seen} />),
  },
  {
    id: "backlog",
    header: t.devices.columns.backlog,
    align: "right",
    cell: (device) => <BacklogCell device={device} />,
  },
  {
    id: "dropped",
    header: t.devices.columns.dropped,
    align: "right",
    cell: ({ events_dropped }) => (
      <span className={events_dropped > 0 ? "font-medium text-bad" : "text-muted"}>
        {count(events_dropped)}
      </span>
    ),
  },
];

function Training({ device }: { device: Device }) {
  const state = device.reported?.training;
  const held = device.reported?.held_because;
  if (!state || device.status === "revoked") return <span className="text-muted">{t.none}</span>;
  const busy = device.status !== "unknown" && (state === "training" || state === "delivering");
  return (
    <>
      <span className={busy ? "font-medium text-accent" : "text-muted"}>
        {t.devices.training[state] ?? state}
      </span>
      {held && <p className="max-w-72 text-muted text-xs">{t.devices.held(held)}</p>}
    </>
  );
}

function BacklogCell({ device }: { device: Device }) {
  const report = device.health;
  if (!report || device.status === "revoked") return <span className="text-muted">{t.none}</span>;
  const oldest = report.outbox_oldest;
  return (
    <>
      <span className={report.outbox_depth > USUAL ? "font-medium text-warn" : ""}>
        {count(report.outbox_depth)}
      </span>
      {report.outbox_depth > USUAL && oldest && (
        <p className="text-muted text-xs">
          {t.devices.oldest} <Ago at={oldest} />
        </p>
      )}
    </>
  );
}
