import type { Step } from "@/api/types";
import { t } from "@/texts/rollouts";
import { type Column, DataTable } from "@/ui/DataTable";
import { ClockTime } from "@/ui/Time";

/** Newest first. */
export function Steps({ steps }: { steps: Step[] }) {
  const numbered = steps.map((step, number) => ({ ...step, number }));
  return (
    <DataTable
      caption={t.rollout.stepsCaption}
      columns={COLUMNS}
      rows={numbered.reverse()}
      rowKey={(step) => step.number}
    />
  );
}

const COLUMNS: readonly Column<Step>[] = [
  {
    id: "step",
    header: t.rollout.stepColumns.step,
    heading: true,
    cell: ({ kind, ring }) => (
      <span className="font-medium">
        {t.rollout.stepKinds[kind]}
        {ring && <span className="font-normal text-muted"> {ring}</span>}
      </span>
    ),
  },
  { id: "when", header: t.rollout.stepColumns.when, cell: ({ at }) => <ClockTime at={at} /> },
  { id: "by", header: t.rollout.stepColumns.by, cell: ({ by }) => by || t.rollout.theHub },
  {
    id: "reason",
    header: t.rollout.stepColumns.reason,
    cell: ({ reason }) => reason && <span className="break-words text-muted">{reason}</span>,
  },
];
