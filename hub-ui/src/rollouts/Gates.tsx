import { CircleCheck, CircleX, Clock, type LucideIcon } from "lucide-react";
import type { Check } from "@/api/types";
import { t } from "@/texts/rollouts";
import { Badge, type Tone } from "@/ui/Badge";
import { type Column, DataTable } from "@/ui/DataTable";

export function Gates({ checks }: { checks: Check[] }) {
  if (checks.length === 0) return <p className="text-muted">{t.rollout.noChecks}</p>;
  return (
    <DataTable
      caption={t.rollout.gatesCaption}
      columns={COLUMNS}
      rows={checks}
      rowKey={(check) => check.gate}
    />
  );
}

const LOOKS: Record<Check["verdict"], { tone: Tone; icon: LucideIcon }> = {
  passed: { tone: "ok", icon: CircleCheck },
  waiting: { tone: "muted", icon: Clock },
  failed: { tone: "bad", icon: CircleX },
};

const COLUMNS: readonly Column<Check>[] = [
  {
    id: "gate",
    header: t.rollout.gateColumns.gate,
    heading: true,
    cell: ({ gate }) => <span className="font-medium">{t.rollout.gateNames[gate] ?? gate}</span>,
  },
  {
    id: "verdict",
    header: t.rollout.gateColumns.verdict,
    cell: ({ verdict }) => <Badge {...LOOKS[verdict]}>{t.rollout.verdicts[verdict]}</Badge>,
  },
  {
    id: "text",
    header: t.rollout.gateColumns.text,
    cell: ({ text }) => <span className="break-words text-muted">{text}</span>,
  },
];
