import { useQuery } from "@tanstack/react-query";
import type { LateContribution } from "@/api/types";
import { DeviceLink } from "@/devices/DeviceLink";
import { bytes, count, duration } from "@/format";
import { t } from "@/texts/run";
import { type Column, DataTable } from "@/ui/DataTable";
import { Loaded } from "@/ui/Loaded";
import { Section } from "@/ui/Page";
import { Ago } from "@/ui/Time";
import { lateQuery } from "./queries";

/** Replies that came too late for their round; nothing where none did. */
export function Late({ runId }: { runId: string }) {
  const query = useQuery(lateQuery(runId));
  return (
    <Loaded query={query} silent>
      {({ kept, uploading, dropped }) =>
        kept.length + uploading + dropped > 0 && (
          <Section title={t.run.late}>
            {kept.length > 0 && (
              <DataTable
                caption={t.run.lateCaption}
                columns={COLUMNS}
                rows={kept}
                rowKey={(each) => each.message_id}
              />
            )}
            {uploading > 0 && <p className="mt-3 text-muted">{t.run.lateUploading(count(uploading))}</p>}
            {dropped > 0 && <p className="mt-3 text-muted">{t.run.lateDropped(count(dropped))}</p>}
          </Section>
        )
      }
    </Loaded>
  );
}

const COLUMNS: readonly Column<LateContribution>[] = [
  {
    id: "device",
    header: t.run.lateColumns.device,
    heading: true,
    cell: ({ device_id }) => <DeviceLink id={device_id} />,
  },
  {
    id: "round",
    header: t.run.columns.round,
    cell: (each) => <Instruction of={each} />,
  },
  {
    id: "when",
    header: t.run.lateColumns.when,
    cell: (each) => <Ago at={each.kept_at} />,
  },
  {
    id: "why",
    header: t.run.lateColumns.why,
    cell: ({ reason }) => <span className="break-words text-muted">{reason}</span>,
  },
  {
    id: "took",
    header: t.run.columns.took,
    align: "right",
    cell: ({ seconds }) => <span className="whitespace-nowrap">{duration(seconds)}</span>,
  },
  {
    id: "size",
    header: t.run.lateColumns.size,
    align: "right",
    cell: ({ size }) => <span className="whitespace-nowrap">{bytes(size)}</span>,
  },
];

/** What it answers, as far as the hub knows. */
function Instruction({ of: { round, phase } }: { of: LateContribution }) {
  if (round === 0) return <span className="text-muted">{t.none}</span>;
  return (
    <span className="whitespace-nowrap">
      {phase === "train" || phase === "evaluate"
        ? t.run.roundPhase(count(round), t.run.phases[phase])
        : count(round)}
    </span>
  );
}
