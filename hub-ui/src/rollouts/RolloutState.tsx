import { CircleCheck, CirclePause, CircleX, LoaderCircle, type LucideIcon } from "lucide-react";
import type { RolloutStatus } from "@/api/types";
import { t } from "@/texts/rollouts";
import { Badge, type Tone } from "@/ui/Badge";

const LOOKS: Record<RolloutStatus, { tone: Tone; icon: LucideIcon; spinning?: boolean }> = {
  running: { tone: "accent", icon: LoaderCircle, spinning: true },
  halted: { tone: "warn", icon: CirclePause },
  "rolled back": { tone: "bad", icon: CircleX },
  done: { tone: "ok", icon: CircleCheck },
};

export function RolloutState({ status }: { status: RolloutStatus }) {
  return <Badge {...LOOKS[status]}>{t.rollouts.statuses[status]}</Badge>;
}
