import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Boxes } from "lucide-react";
import { lazy, Suspense } from "react";
import type { Model } from "@/api/types";
import { count } from "@/format";
import { useMay } from "@/session/may";
import { t } from "@/texts";
import { Command } from "@/ui/Command";
import { type Column, DataTable } from "@/ui/DataTable";
import { Empty } from "@/ui/Empty";
import { Loaded } from "@/ui/Loaded";
import { Page } from "@/ui/Page";
import { Ago } from "@/ui/Time";
import { modelsQuery } from "./queries";

const UploadVersion = lazy(() =>
  import("./UploadVersion").then((module) => ({ default: module.UploadVersion })),
);

export function ModelsPage() {
  const query = useQuery(modelsQuery);
  const mayUpload = useMay("models:operate");
  return (
    <Page
      title={t.models.title}
      actions={
        mayUpload && (
          <Suspense>
            <UploadVersion />
          </Suspense>
        )
      }
    >
      <Loaded query={query}>
        {(models) =>
          models.length === 0 ? (
            <NoModels />
          ) : (
            <DataTable
              caption={t.models.caption}
              columns={COLUMNS}
              rows={models}
              rowKey={(model) => model.name}
            />
          )
        }
      </Loaded>
    </Page>
  );
}

const COLUMNS: readonly Column<Model>[] = [
  {
    id: "name",
    header: t.models.columns.name,
    heading: true,
    cell: (model) => (
      <Link
        to="/models/$name"
        params={{ name: model.name }}
        className="font-medium text-accent hover:underline"
      >
        {model.name}
      </Link>
    ),
  },
  {
    id: "promoted",
    header: t.models.columns.promoted,
    cell: ({ promoted }) =>
      promoted === null ? (
        <span className="text-muted">{t.models.nonePromoted}</span>
      ) : (
        t.models.version(promoted)
      ),
  },
  { id: "latest", header: t.models.columns.latest, cell: ({ latest }) => t.models.version(latest) },
  {
    id: "versions",
    header: t.models.columns.versions,
    align: "right",
    cell: ({ versions }) => count(versions),
  },
  { id: "updated", header: t.models.columns.updated, cell: (model) => <Ago at={model.updated_at} /> },
];

function NoModels() {
  return (
    <Empty icon={Boxes} title={t.models.empty.title} text={t.models.empty.text}>
      <Command where={t.models.empty.onHub} text="flip-hub runs start examples/digits" />
    </Empty>
  );
}
