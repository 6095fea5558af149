import { useQuery } from "@tanstack/react-query";
import type { Contribution } from "@/api/types";
import { DeviceLink } from "@/devices/DeviceLink";
import { count, percent } from "@/format";
import { t } from "@/texts/run";
import type { Column } from "@/ui/DataTable";
import { ContributionTable, FATE, ROUND, SENT, WHY } from "./ContributionTable";
import { contributionsQuery } from "./queries";

/** The newest of the run, as their devices have signed them. */
export function Contributions({ runId }: { runId: string }) {
  const query = useQuery(contributionsQuery(runId));
  return (
    <ContributionTable
      title={t.run.contributions}
      caption={t.run.contributionsCaption}
      query={query}
      columns={COLUMNS}
    />
  );
}

const COLUMNS: readonly Column<Contribution>[] = [
  {
    id: "device",
    header: t.run.contributionColumns.device,
    heading: true,
    cell: ({ device_id }) => <DeviceLink id={device_id} />,
  },
  ROUND,
  FATE,
  {
    id: "share",
    header: t.run.contributionColumns.share,
    align: "right",
    cell: ({ share }) => (share === null ? <span className="text-muted">{t.none}</span> : percent(share)),
  },
  SENT,
  {
    id: "signed",
    header: t.run.contributionColumns.signed,
    cell: ({ signed, entry }) => (
      <span className="whitespace-nowrap">
        {signed ? t.run.signed(entry ? count(entry) : "") : t.run.unsigned}
      </span>
    ),
  },
  WHY,
];
