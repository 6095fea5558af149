import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { alertsQuery } from "@/alerts/queries";
import { fleetQuery } from "@/devices/fleet";
import { count } from "@/format";
import { modelsQuery } from "@/models/queries";
import { runsQuery } from "@/runs/queries";
import { t } from "@/texts";
import { Card } from "@/ui/Card";
import { Ago } from "@/ui/Time";
import { type Change, changesSince } from "./changes";
import { visited } from "./visit";

const SHOWN = 12;

/** What has changed since this browser was last here. */
export function Changes() {
  const [since] = useState(() => visited(Date.now() / 1000));
  const { data: fleet } = useQuery(fleetQuery);
  const { data: alerts } = useQuery(alertsQuery("all"));
  const { data: runs } = useQuery(runsQuery);
  const { data: models } = useQuery(modelsQuery);
  if (since === null)
    return (
      <Card title={t.overview.changes}>
        <p className="text-muted">{t.overview.firstVisit}</p>
      </Card>
    );
  const changes = changesSince(since, fleet ?? new Map(), alerts ?? [], runs ?? [], models ?? []);
  return (
    <Card
      title={t.overview.changes}
      action={
        <span className="text-muted text-xs">
          {t.overview.sinceWhen} <Ago at={since} />
        </span>
      }
    >
      {changes.length === 0 ? (
        <p className="text-muted">{t.overview.noChanges}</p>
      ) : (
        <ul className="space-y-1.5">
          {changes.slice(0, SHOWN).map((change) => (
            <li key={change.key} className="flex items-baseline justify-between gap-3">
              <span className="min-w-0 break-words">
                <What change={change} />
              </span>
              <span className="shrink-0 text-muted text-xs">
                <Ago at={change.at} />
              </span>
            </li>
          ))}
          {changes.length > SHOWN && (
            <li className="text-muted">{t.overview.more(count(changes.length - SHOWN))}</li>
          )}
        </ul>
      )}
    </Card>
  );
}

const LINK = "text-accent hover:underline";

function What({ change }: { change: Change }) {
  const words = t.overview.kinds;
  switch (change.kind) {
    case "enrolled":
    case "silent":
      return (
        <Link to="/devices/$id" params={{ id: change.id }} className={LINK}>
          {words[change.kind](change.name)}
        </Link>
      );
    case "run":
      return (
        <Link to="/runs/$id" params={{ id: change.id }} className={LINK}>
          {words.run(change.app, t.runs.statuses[change.status])}
        </Link>
      );
    case "model":
      return (
        <Link to="/models/$name" params={{ name: change.name }} className={LINK}>
          {words.model(change.name, count(change.version))}
        </Link>
      );
    default:
      return words[change.kind](change.title, change.name);
  }
}
