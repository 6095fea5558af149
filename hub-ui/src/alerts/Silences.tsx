import { useQuery } from "@tanstack/react-query";
import type { AlertSilence } from "@/api/types";
import { DeviceLink } from "@/devices/DeviceLink";
import { useMay } from "@/session/may";
import { t } from "@/texts/alerts";
import { Confirm } from "@/ui/Confirm";
import { type Column, DataTable } from "@/ui/DataTable";
import { Loaded } from "@/ui/Loaded";
import { Section } from "@/ui/Page";
import { ClockTime } from "@/ui/Time";
import { endSilence, silencesQuery } from "./queries";

/** Those that are not over; nothing where there is none. */
export function Silences() {
  const query = useQuery(silencesQuery);
  const mayOperate = useMay("alerts:operate");
  return (
    <Loaded query={query} silent>
      {(silences) =>
        silences.length > 0 && (
          <Section title={t.alerts.silences}>
            <DataTable
              caption={t.alerts.silencesCaption}
              columns={mayOperate ? [...COLUMNS, END] : COLUMNS}
              rows={silences}
              rowKey={(silence) => silence.id}
            />
          </Section>
        )
      }
    </Loaded>
  );
}

const COLUMNS: readonly Column<AlertSilence>[] = [
  {
    id: "why",
    header: t.alerts.silenceColumns.why,
    heading: true,
    cell: ({ why }) => <span className="break-words font-medium">{why}</span>,
  },
  {
    id: "what",
    header: t.alerts.silenceColumns.what,
    cell: ({ rule, tag, device_id }) => (
      <>
        {[rule || t.alerts.anyRule, tag].filter(Boolean).join(", ")}{" "}
        {device_id && <DeviceLink id={device_id} />}
      </>
    ),
  },
  { id: "by", header: t.alerts.silenceColumns.by, cell: ({ by }) => by },
  { id: "until", header: t.alerts.silenceColumns.until, cell: ({ until }) => <ClockTime at={until} /> },
];

const END: Column<AlertSilence> = {
  id: "end",
  header: t.alerts.silenceColumns.end,
  align: "right",
  cell: ({ id, why }) => (
    <Confirm
      label={t.alerts.endSilence}
      name={t.alerts.endSilenceName(why)}
      title={t.alerts.endSilenceTitle}
      text={t.alerts.endSilenceText(why)}
      action={t.alerts.endSilence}
      run={() => endSilence(id)}
    />
  ),
};
