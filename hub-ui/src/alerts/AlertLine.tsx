import { Link } from "@tanstack/react-router";
import { Info, type LucideIcon, OctagonAlert, TriangleAlert } from "lucide-react";
import type { Alert, Severity } from "@/api/types";
import { t } from "@/texts";
import { Badge, type Tone } from "@/ui/Badge";
import { Ago } from "@/ui/Time";

export const SEVERITY_LOOKS: Record<Severity, { tone: Tone; icon: LucideIcon }> = {
  info: { tone: "accent", icon: Info },
  warning: { tone: "warn", icon: TriangleAlert },
  critical: { tone: "bad", icon: OctagonAlert },
};

/** An alert in two lines: what is wrong with what, and since when. */
export function AlertLine({ alert }: { alert: Alert }) {
  const { severity, title, text, opened_at } = alert;
  return (
    <div className="flex items-start justify-between gap-3">
      <div className="min-w-0">
        <Badge {...SEVERITY_LOOKS[severity]} title={t.severities[severity]}>
          {title}
        </Badge>
        <p className="ml-5.5 break-words text-muted text-xs">
          <Cause alert={alert} /> {text}
        </p>
      </div>
      <span className="shrink-0 text-muted text-xs">
        <Ago at={opened_at} />
      </span>
    </div>
  );
}

/** The thing that it is about, and the way there. */
export function Cause({ alert: { device_id, run_id, name, subject } }: { alert: Alert }) {
  const look = "font-medium text-ink hover:underline";
  if (device_id)
    return (
      <Link to="/devices/$id" params={{ id: device_id }} className={look}>
        {name || device_id}
      </Link>
    );
  if (run_id)
    return (
      <Link to="/runs/$id" params={{ id: run_id }} className={look}>
        {run_id}
      </Link>
    );
  return <span className="font-medium text-ink">{subject}</span>;
}
