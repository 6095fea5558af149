import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { Contribution } from "@/api/types";
import { ContributionTable, FATE, ROUND, SENT, WHY } from "@/runs/ContributionTable";
import { runsQuery } from "@/runs/queries";
import { t } from "@/texts/device";
import type { Column } from "@/ui/DataTable";
import { Ago } from "@/ui/Time";
import { deviceContributionsQuery } from "./queries";

/** What the device was asked in runs, newest first. */
export function Contributions({ id }: { id: string }) {
  const query = useQuery(deviceContributionsQuery(id));
  return (
    <ContributionTable
      title={t.device.contributions}
      caption={t.device.contributionsCaption}
      query={query}
      columns={COLUMNS}
    />
  );
}

function OfRun({ number }: { number: string }) {
  const { data } = useQuery(runsQuery);
  const run = data?.find(({ flower_run_id, earlier = [] }) => [flower_run_id, ...earlier].includes(number));
  if (!run) return <span className="text-muted">{t.device.unknownRun}</span>;
  return (
    <Link to="/runs/$id" params={{ id: run.id }} className="font-medium text-accent hover:underline">
      {run.app}
    </Link>
  );
}

const COLUMNS: readonly Column<Contribution>[] = [
  {
    id: "run",
    header: t.device.run,
    heading: true,
    cell: ({ flower_run_id }) => <OfRun number={flower_run_id} />,
  },
  ROUND,
  FATE,
  {
    id: "when",
    header: t.device.actionColumns.asked,
    cell: ({ sent_at }) => (sent_at > 0 ? <Ago at={sent_at} /> : t.none),
  },
  SENT,
  WHY,
];
