import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { Contribution } from "@/api/types";
import { bytes, count } from "@/format";
import { runsQuery } from "@/runs/queries";
import { t } from "@/texts/device";
import { type Column, DataTable } from "@/ui/DataTable";
import { Loaded } from "@/ui/Loaded";
import { Section } from "@/ui/Page";
import { Ago } from "@/ui/Time";
import { deviceContributionsQuery } from "./queries";

/** What the device was asked in runs, and what became of that; nothing before the first. */
export function Contributions({ id }: { id: string }) {
  const query = useQuery(deviceContributionsQuery(id));
  return (
    <Loaded query={query} silent>
      {(contributions) =>
        contributions.length > 0 && (
          <Section title={t.device.contributions}>
            <DataTable
              caption={t.device.contributionsCaption}
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

const words = t.run.contributionColumns;

const COLUMNS: readonly Column<Contribution>[] = [
  {
    id: "run",
    header: t.device.run,
    heading: true,
    cell: ({ flower_run_id }) => <OfRun number={flower_run_id} />,
  },
  {
    id: "round",
    header: t.run.columns.round,
    cell: ({ round, phase }) =>
      phase === "train" || phase === "evaluate"
        ? t.run.roundPhase(count(round), t.run.phases[phase])
        : count(round),
  },
  { id: "fate", header: words.fate, cell: ({ fate }) => t.run.receiptFates[fate] },
  {
    id: "when",
    header: t.device.actionColumns.asked,
    cell: ({ sent_at }) => (sent_at > 0 ? <Ago at={sent_at} /> : t.none),
  },
  {
    id: "sent",
    header: words.sent,
    align: "right",
    cell: ({ size, received_at }) =>
      received_at === null ? <span className="text-muted">{t.none}</span> : bytes(size),
  },
  {
    id: "why",
    header: words.why,
    cell: ({ reason }) => <span className="break-words text-muted">{reason}</span>,
  },
];
