import { useQuery } from "@tanstack/react-query";
import type { DeviceEvent } from "@/api/types";
import { t } from "@/texts/device";
import { type Column, DataTable } from "@/ui/DataTable";
import { Loaded } from "@/ui/Loaded";
import { Section } from "@/ui/Page";
import { Ago } from "@/ui/Time";
import { wordsOf } from "./events";
import { deviceEventsQuery } from "./queries";

/** The newest of what it has told, but for its health and state. */
export function Events({ id }: { id: string }) {
  const query = useQuery(deviceEventsQuery(id));
  return (
    <Section title={t.device.events}>
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
    </Section>
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
