import { useQuery } from "@tanstack/react-query";
import type { Contribution } from "@/api/types";
import { DeviceLink } from "@/devices/DeviceLink";
import { bytes, count, percent } from "@/format";
import { t } from "@/texts/run";
import { type Column, DataTable } from "@/ui/DataTable";
import { Loaded } from "@/ui/Loaded";
import { Section } from "@/ui/Page";
import { contributionsQuery } from "./queries";

/** What became of the newest contributions, as their devices have signed them; nothing before the first. */
export function Contributions({ runId }: { runId: string }) {
  const query = useQuery(contributionsQuery(runId));
  return (
    <Loaded query={query} silent>
      {(contributions) =>
        contributions.length > 0 && (
          <Section title={t.run.contributions}>
            <DataTable
              caption={t.run.contributionsCaption}
              columns={COLUMNS}
              rows={contributions}
              rowKey={(each) => each.message_id}
            />
          </Section>
        )
      }
    </Loaded>
  );
}

const COLUMNS: readonly Column<Contribution>[] = [
  {
    id: "device",
    header: t.run.contributionColumns.device,
    heading: true,
    cell: ({ device_id }) => <DeviceLink id={device_id} />,
  },
  {
    id: "round",
    header: t.run.columns.round,
    cell: ({ round, phase }) =>
      phase === "train" || phase === "evaluate"
        ? t.run.roundPhase(count(round), t.run.phases[phase])
        : count(round),
  },
  {
    id: "fate",
    header: t.run.contributionColumns.fate,
    cell: ({ fate, round, taken }) =>
      taken > round ? t.run.countedIn(count(taken)) : t.run.receiptFates[fate],
  },
  {
    id: "share",
    header: t.run.contributionColumns.share,
    align: "right",
    cell: ({ share }) => (share === null ? <span className="text-muted">{t.none}</span> : percent(share)),
  },
  {
    id: "sent",
    header: t.run.contributionColumns.sent,
    align: "right",
    cell: ({ size, received_at }) =>
      received_at === null ? <span className="text-muted">{t.none}</span> : bytes(size),
  },
  {
    id: "signed",
    header: t.run.contributionColumns.signed,
    cell: ({ signed, entry }) => (
      <span className="whitespace-nowrap">
        {signed ? t.run.signed(entry ? count(entry) : "") : t.run.unsigned}
      </span>
    ),
  },
  {
    id: "why",
    header: t.run.contributionColumns.why,
    cell: ({ reason }) => <span className="break-words text-muted">{reason}</span>,
  },
];
