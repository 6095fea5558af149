import {
  CircleCheck,
  CirclePause,
  CircleStop,
  CircleX,
  Clock,
  LoaderCircle,
  type LucideIcon,
} from "lucide-react";
import type { RunStatus } from "@/api/types";
import { t } from "@/texts";
import { Badge, type Tone } from "@/ui/Badge";

const LOOKS: Record<RunStatus, { tone: Tone; icon: LucideIcon; spinning?: boolean }> = {
  pending: { tone: "muted", icon: Clock },
  running: { tone: "accent", icon: LoaderCircle, spinning: true },
  paused: { tone: "muted", icon: CirclePause },
  finished: { tone: "ok", icon: CircleCheck },
  failed: { tone: "bad", icon: CircleX },
  stopped: { tone: "muted", icon: CircleStop },
};

export function RunState({ status }: { status: RunStatus }) {
  return <Badge {...LOOKS[status]}>{t.runs.statuses[status]}</Badge>;
}
