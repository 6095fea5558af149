import { Circle, CircleCheck, CircleDot, CircleX, type LucideIcon } from "lucide-react";
import type { RingProgress, RingState } from "@/api/types";
import { clock, count } from "@/format";
import { t } from "@/texts/rollouts";
import { Badge, type Tone } from "@/ui/Badge";
import { type Column, DataTable } from "@/ui/DataTable";
import { Ago, useNow } from "@/ui/Time";
import { watchedUntil, whom } from "./rings";

export function Rings({ rings }: { rings: RingProgress[] }) {
  return (
    <DataTable
      caption={t.rollout.ringsCaption}
      columns={COLUMNS}
      rows={rings}
      rowKey={(ring) => ring.ring.name}
    />
  );
}

const LOOKS: Record<RingState, { tone: Tone; icon: LucideIcon }> = {
  pending: { tone: "muted", icon: Circle },
  open: { tone: "accent", icon: CircleDot },
  passed: { tone: "ok", icon: CircleCheck },
  failed: { tone: "bad", icon: CircleX },
};

const COLUMNS: readonly Column<RingProgress>[] = [
  {
    id: "ring",
    header: t.rollout.ringColumns.ring,
    heading: true,
    cell: (ring) => (
      <>
        <p className="font-medium">{ring.ring.name}</p>
        {whom(ring) !== ring.ring.name && <p className="text-muted text-xs">{whom(ring)}</p>}
      </>
    ),
  },
  {
    id: "state",
    header: t.rollout.ringColumns.state,
    cell: ({ state }) => {
      const shown = state ?? "pending";
      return <Badge {...LOOKS[shown]}>{t.rollout.ringStates[shown]}</Badge>;
    },
  },
  {
    id: "serving",
    header: t.rollout.ringColumns.serving,
    align: "right",
    cell: ({ state, counts }) =>
      state === "pending" || !counts ? (
        <span className="text-muted">{t.none}</span>
      ) : (
        <span className="whitespace-nowrap">
          {t.rollout.servingOf(count(counts.serving), count(counts.devices))}
        </span>
      ),
  },
  { id: "trouble", header: t.rollout.ringColumns.trouble, cell: (ring) => <Trouble ring={ring} /> },
  {
    id: "opened",
    header: t.rollout.ringColumns.opened,
    cell: ({ opened_at }) =>
      opened_at == null ? <span className="text-muted">{t.none}</span> : <Ago at={opened_at} />,
  },
  { id: "why", header: t.rollout.ringColumns.why, cell: (ring) => ring.why && <Waits ring={ring} /> },
];

function Trouble({ ring: { counts } }: { ring: RingProgress }) {
  const told = [
    counts?.refused ? t.rollout.refused(count(counts.refused)) : "",
    counts?.rolled_back ? t.rollout.wentBack(count(counts.rolled_back)) : "",
    counts?.silent ? t.rollout.silent(count(counts.silent)) : "",
  ].filter(Boolean);
  if (told.length === 0) return <span className="text-muted">{t.none}</span>;
  return <span className="text-warn">{told.join(", ")}</span>;
}

function Waits({ ring }: { ring: RingProgress }) {
  const now = useNow();
  const until = watchedUntil(ring);
  if (until !== null && until > now)
    return <span className="text-muted">{t.rollout.watchedUntil(clock(until, now))}</span>;
  return <span className="break-words text-muted">{ring.why}</span>;
}
