import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { Rollout } from "@/api/types";
import { count } from "@/format";
import { t } from "@/texts/rollouts";
import { type Column, DataTable } from "@/ui/DataTable";
import { Loaded } from "@/ui/Loaded";
import { Section } from "@/ui/Page";
import { Ago } from "@/ui/Time";
import { rolloutsQuery } from "./queries";
import { RolloutState } from "./RolloutState";
import { openRings, serving } from "./rings";

/** Of a model; nothing where its versions were all brought to every device at once. */
export function Rollouts({ model }: { model: string }) {
  const query = useQuery(rolloutsQuery(model));
  return (
    <Loaded query={query} silent>
      {(rollouts) =>
        rollouts.length > 0 && (
          <Section title={t.rollouts.title}>
            <DataTable
              caption={t.rollouts.caption}
              columns={COLUMNS}
              rows={rollouts}
              rowKey={(rollout) => rollout.id}
            />
          </Section>
        )
      }
    </Loaded>
  );
}

const COLUMNS: readonly Column<Rollout>[] = [
  {
    id: "version",
    header: t.rollouts.columns.version,
    heading: true,
    cell: ({ id, version }) => (
      <Link to="/rollouts/$id" params={{ id }} className="font-medium text-accent hover:underline">
        {t.rollouts.version(version)}
      </Link>
    ),
  },
  {
    id: "status",
    header: t.rollouts.columns.status,
    cell: ({ status }) => <RolloutState status={status} />,
  },
  {
    id: "rings",
    header: t.rollouts.columns.rings,
    cell: ({ rings }) => t.rollouts.ringOf(count(openRings(rings).length), count(rings.length)),
  },
  {
    id: "devices",
    header: t.rollouts.columns.devices,
    align: "right",
    cell: ({ rings }) => count(serving(rings)),
  },
  { id: "started", header: t.rollouts.columns.started, cell: ({ started_at }) => <Ago at={started_at} /> },
  {
    id: "why",
    header: t.rollouts.columns.why,
    cell: ({ reason }) => reason && <span className="break-words text-muted">{reason}</span>,
  },
];
