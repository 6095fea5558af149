import { useQuery } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";
import type { Contributor, Deployment, Lineage } from "@/api/types";
import { DeviceLink } from "@/devices/DeviceLink";
import { bytes, count } from "@/format";
import { RolloutState } from "@/rollouts/RolloutState";
import { t } from "@/texts/model";
import { BackLink } from "@/ui/BackLink";
import { type Column, DataTable } from "@/ui/DataTable";
import { Loaded } from "@/ui/Loaded";
import { Page, Section } from "@/ui/Page";
import { Ago } from "@/ui/Time";
import { LineagePicture } from "./LineagePicture";
import { lineageQuery } from "./queries";
import { TryIt } from "./try/TryIt";

/** A version traced: its run, the devices whose updates are in it, its rollouts, and where it runs. */
export function VersionPage() {
  const { name, version } = useParams({ from: "/signed-in/models/$name/$version" });
  const query = useQuery(lineageQuery(name, Number(version)));
  return (
    <Page
      title={t.lineage.title(name, version)}
      above={
        <BackLink to="/models/$name" params={{ name }}>
          {name}
        </BackLink>
      }
      actions={query.data && <TryIt version={query.data.version} />}
    >
      <Loaded query={query}>{(lineage) => <Traced lineage={lineage} />}</Loaded>
    </Page>
  );
}

function Traced({ lineage }: { lineage: Lineage }) {
  const { contributors, deployments, rings = {} } = lineage;
  return (
    <>
      <LineagePicture lineage={lineage} />
      <Rollouts rollouts={lineage.rollouts ?? []} />
      <Section title={t.lineage.contributors}>
        {contributors.length > 0 ? (
          <DataTable
            caption={t.lineage.contributorsCaption}
            columns={CONTRIBUTORS}
            rows={contributors}
            rowKey={(each) => each.device_id}
          />
        ) : (
          <p className="text-muted">{t.lineage.noContributors}</p>
        )}
        {lineage.run && <p className="mt-3 text-muted">{t.lineage.receipts}</p>}
      </Section>
      <Section title={t.lineage.deployments}>
        {deployments.length > 0 ? (
          <DataTable
            caption={t.lineage.deploymentsCaption}
            columns={deploymentColumns(rings)}
            rows={deployments}
            rowKey={(each) => each.device_id}
          />
        ) : (
          <p className="text-muted">{t.lineage.noDeployments}</p>
        )}
      </Section>
    </>
  );
}

/** Where several rollouts have brought it, all of them: the picture shows the latest. */
function Rollouts({ rollouts }: { rollouts: NonNullable<Lineage["rollouts"]> }) {
  if (rollouts.length < 2) return null;
  return (
    <Section title={t.lineage.rollouts}>
      <ul className="flex flex-wrap gap-x-6 gap-y-2">
        {rollouts.map(({ id, status, started_at }) => (
          <li key={id}>
            <Link to="/rollouts/$id" params={{ id }} className="hover:underline">
              <RolloutState status={status} />
            </Link>{" "}
            <span className="text-muted text-xs">
              <Ago at={started_at} />
            </span>
          </li>
        ))}
      </ul>
    </Section>
  );
}

function named<T extends { device_id: string }>(): Column<T> {
  return {
    id: "device",
    header: t.lineage.columns.device,
    heading: true,
    cell: ({ device_id }) => <DeviceLink id={device_id} />,
  };
}

const words = t.lineage.columns;

const CONTRIBUTORS: readonly Column<Contributor>[] = [
  named<Contributor>(),
  { id: "rounds", header: words.rounds, align: "right", cell: ({ rounds }) => count(rounds) },
  { id: "weight", header: words.weight, align: "right", cell: ({ weight }) => count(weight) },
  {
    id: "last",
    header: words.last,
    align: "right",
    cell: ({ last_weight }) => (last_weight === null ? t.none : count(last_weight)),
  },
  { id: "size", header: words.size, align: "right", cell: ({ size }) => bytes(size) },
];

function deploymentColumns(rings: Readonly<Record<string, string>>): Column<Deployment>[] {
  return [
    named<Deployment>(),
    { id: "ring", header: words.ring, cell: ({ device_id }) => rings[device_id] ?? t.none },
    { id: "since", header: words.since, cell: ({ since }) => <Ago at={since} /> },
  ];
}
