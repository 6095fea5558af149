import type { UseQueryResult } from "@tanstack/react-query";
import type { Contribution } from "@/api/types";
import { bytes, count } from "@/format";
import { t } from "@/texts/run";
import { type Column, DataTable } from "@/ui/DataTable";
import { Loaded } from "@/ui/Loaded";
import { Section } from "@/ui/Page";

const words = t.run.contributionColumns;

interface Props {
  title: string;
  caption: string;
  query: UseQueryResult<Contribution[]>;
  columns: readonly Column<Contribution>[];
}

/** What became of contributions; nothing before the first. */
export function ContributionTable({ title, caption, query, columns }: Props) {
  return (
    <Loaded query={query} silent>
      {(contributions) =>
        contributions.length > 0 && (
          <Section title={title}>
            <DataTable
              caption={caption}
              columns={columns}
              rows={contributions}
              rowKey={(each) => each.message_id}
            />
          </Section>
        )
      }
    </Loaded>
  );
}

export const ROUND: Column<Contribution> = {
  id: "round",
  header: t.run.columns.round,
  cell: ({ round, phase }) => (
    <span className="whitespace-nowrap">
      {phase === "train" || phase === "evaluate"
        ? t.run.roundPhase(count(round), t.run.phases[phase])
        : count(round)}
    </span>
  ),
};

export const FATE: Column<Contribution> = {
  id: "fate",
  header: words.fate,
  cell: ({ fate, counts, round, taken }) => {
    if (taken > round) return t.run.countedIn(count(taken));
    // The hub has accepted it, but it says why there is no result.
    return fate === "accepted" && !counts ? t.run.noResult : t.run.receiptFates[fate];
  },
};

export const SENT: Column<Contribution> = {
  id: "sent",
  header: words.sent,
  align: "right",
  cell: ({ size, received_at }) =>
    received_at === null ? (
      <span className="text-muted">{t.none}</span>
    ) : (
      <span className="whitespace-nowrap">{bytes(size)}</span>
    ),
};

export const WHY: Column<Contribution> = {
  id: "why",
  header: words.why,
  cell: ({ reason }) => reason && <span className="break-words text-muted">{reason}</span>,
};
