import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { CircleCheck, CircleX, Clock, LoaderCircle, type LucideIcon, Undo2, Unplug } from "lucide-react";
import type { RingDevice, Standing } from "@/api/types";
import { count } from "@/format";
import { t } from "@/texts/rollouts";
import { Badge, type Tone } from "@/ui/Badge";
import { type Column, DataTable } from "@/ui/DataTable";
import { Loaded } from "@/ui/Loaded";
import { Section } from "@/ui/Page";
import { Ago } from "@/ui/Time";
import { ringDevicesQuery } from "./queries";
import { troubledFirst } from "./rings";

/** Rows that a page has room for. */
const SHOWN = 100;

export function RingDevices({ rollout }: { rollout: string }) {
  const query = useQuery(ringDevicesQuery(rollout));
  return (
    <Section title={t.rollout.devices}>
      <Loaded query={query}>
        {(devices) => (
          <>
            <DataTable
              caption={t.rollout.devicesCaption}
              columns={COLUMNS}
              rows={troubledFirst(devices).slice(0, SHOWN)}
              rowKey={(device) => device.device_id}
            />
            {devices.length > SHOWN && (
              <p className="mt-3 text-muted">{t.rollout.more(count(devices.length - SHOWN))}</p>
            )}
          </>
        )}
      </Loaded>
    </Section>
  );
}

const LOOKS: Record<Standing, { tone: Tone; icon: LucideIcon }> = {
  waiting: { tone: "muted", icon: Clock },
  bringing: { tone: "accent", icon: LoaderCircle },
  serving: { tone: "ok", icon: CircleCheck },
  refused: { tone: "bad", icon: CircleX },
  "rolled back": { tone: "bad", icon: Undo2 },
  silent: { tone: "warn", icon: Unplug },
};

const COLUMNS: readonly Column<RingDevice>[] = [
  {
    id: "device",
    header: t.rollout.deviceColumns.device,
    heading: true,
    cell: ({ device_id, name }) => (
      <Link
        to="/devices/$id"
        params={{ id: device_id }}
        className="break-words font-medium text-accent hover:underline"
      >
        {name}
      </Link>
    ),
  },
  { id: "ring", header: t.rollout.deviceColumns.ring, cell: ({ ring }) => ring },
  {
    id: "standing",
    header: t.rollout.deviceColumns.standing,
    cell: ({ standing, reason }) => (
      <>
        <Badge {...LOOKS[standing]}>{t.rollout.standings[standing]}</Badge>
        {reason && <p className="max-w-96 break-words text-muted text-xs md:ml-5.5">{reason}</p>}
      </>
    ),
  },
  {
    id: "serves",
    header: t.rollout.deviceColumns.serves,
    align: "right",
    cell: ({ serves }) => (serves === null ? t.none : count(serves)),
  },
  {
    id: "seen",
    header: t.rollout.deviceColumns.seen,
    cell: ({ last_seen }) => (last_seen === null ? t.none : <Ago at={last_seen} />),
  },
];
