import { useQuery } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";
import { CircleCheck, CircleDashed, CircleDot, CircleX } from "lucide-react";
import { lazy, Suspense } from "react";
import type { ModelVersion } from "@/api/types";
import { type Fleet, fleetQuery } from "@/devices/fleet";
import { bytes, count, metric } from "@/format";
import { Rollouts } from "@/rollouts/Rollouts";
import { RollOut } from "@/rollouts/start/RollOut";
import { useMay } from "@/session/may";
import { t } from "@/texts/model";
import { BackLink } from "@/ui/BackLink";
import { Badge } from "@/ui/Badge";
import { type Column, DataTable } from "@/ui/DataTable";
import { Loaded } from "@/ui/Loaded";
import { Page } from "@/ui/Page";
import { Ago } from "@/ui/Time";
import { Promote } from "./Promote";
import { versionsQuery } from "./queries";

const UploadVersion = lazy(() =>
  import("./UploadVersion").then((module) => ({ default: module.UploadVersion })),
);

export function ModelPage() {
  const { name } = useParams({ from: "/signed-in/models/$name" });
  const query = useQuery(versionsQuery(name));
  const mayUpload = useMay("models:operate");
  return (
    <Page
      title={name}
      above={<BackLink to="/models">{t.back.models}</BackLink>}
      actions={
        mayUpload && (
          <Suspense>
            <UploadVersion model={name} />
          </Suspense>
        )
      }
    >
      <Loaded query={query}>{(versions) => <Versions versions={versions} />}</Loaded>
      <Rollouts model={name} />
    </Page>
  );
}

function Versions({ versions }: { versions: ModelVersion[] }) {
  const { data: fleet } = useQuery(fleetQuery);
  const mayOperate = useMay("models:operate");
  const promoted = versions.find((version) => version.promoted)?.version ?? null;
  return (
    <DataTable
      caption={t.model.caption}
      columns={[...LEADING, ...metricColumns(versions), ...trailing(serving(fleet), promoted, mayOperate)]}
      rows={[...versions].sort((one, other) => other.version - one.version)}
      rowKey={(version) => version.version}
    />
  );
}

const LEADING: readonly Column<ModelVersion>[] = [
  {
    id: "version",
    header: t.model.columns.version,
    heading: true,
    cell: ({ model, version }) => (
      <Link
        to="/models/$name/$version"
        params={{ name: model, version: String(version) }}
        aria-label={t.lineage.trace(count(version))}
        className="font-medium text-accent hover:underline"
      >
        <span className="md:hidden">{t.model.columns.version} </span>
        {count(version)}
      </Link>
    ),
  },
  { id: "state", header: t.model.columns.state, cell: (version) => <State version={version} /> },
];

function State({ version }: { version: ModelVersion }) {
  if (version.promoted) {
    return (
      <Badge tone="ok" icon={CircleCheck}>
        {t.model.promoted}
      </Badge>
    );
  }
  if (version.withdrawn) {
    return (
      <>
        <Badge tone="bad" icon={CircleX}>
          {t.model.withdrawn}
        </Badge>
        <p className="max-w-60 break-words text-muted text-xs md:ml-5.5">{version.withdrawn}</p>
      </>
    );
  }
  if (version.deployable) {
    return (
      <Badge tone="accent" icon={CircleDot}>
        {t.model.deployable}
      </Badge>
    );
  }
  return (
    <>
      <Badge tone="muted" icon={CircleDashed}>
        {t.model.weightsOnly}
      </Badge>
      <p className="max-w-60 text-muted text-xs md:ml-5.5">{t.model.weightsOnlyHint}</p>
    </>
  );
}

function metricColumns(versions: readonly ModelVersion[]): Column<ModelVersion>[] {
  const names = [
    ...new Set(versions.flatMap((version) => Object.keys(version.manifest.metrics ?? {}))),
  ].sort();
  return names.map((name) => ({
    id: `metric-${name}`,
    header: name,
    align: "right",
    cell: ({ manifest }) => {
      const value = manifest.metrics?.[name];
      return value === undefined ? <span className="text-muted">{t.none}</span> : metric(value);
    },
  }));
}

function trailing(
  devices: ReadonlyMap<string, number>,
  promoted: number | null,
  mayOperate: boolean,
): Column<ModelVersion>[] {
  return [
    {
      id: "devices",
      header: t.model.columns.devices,
      align: "right",
      cell: ({ model, version }) => count(devices.get(`${model}@${version}`) ?? 0),
    },
    {
      id: "from",
      header: t.model.columns.from,
      cell: ({ manifest }) =>
        manifest.run_id ? (
          <Link
            to="/runs/$id"
            params={{ id: manifest.run_id }}
            className="whitespace-nowrap text-accent hover:underline"
          >
            {t.model.fromRound(manifest.round)}
          </Link>
        ) : (
          t.none
        ),
    },
    {
      id: "size",
      header: t.model.columns.size,
      align: "right",
      cell: ({ manifest }) => (
        <span className="whitespace-nowrap">
          {bytes(manifest.weights.size + (manifest.graph?.size ?? 0))}
        </span>
      ),
    },
    {
      id: "created",
      header: t.model.columns.created,
      cell: ({ manifest }) => <Ago at={manifest.created_at} />,
    },
    {
      id: "promote",
      header: t.model.columns.promote,
      align: "right",
      cell: (version) =>
        version.deployable &&
        !version.promoted &&
        mayOperate && (
          <span className="inline-flex flex-wrap justify-end gap-2 md:flex-nowrap">
            <RollOut version={version} />
            {!version.withdrawn && <Promote version={version} promoted={promoted} />}
          </span>
        ),
    },
  ];
}

/** On how many devices each version answers, by their last reports; a revoked device no longer counts. */
function serving(fleet: Fleet | undefined): Map<string, number> {
  const devices = new Map<string, number>();
  for (const device of fleet?.values() ?? [])
    if (device.status !== "revoked")
      for (const version of device.serving ?? []) devices.set(version, (devices.get(version) ?? 0) + 1);
  return devices;
}
