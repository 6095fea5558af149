import { answered, everything, hub, sparse } from "@/api/client";
import type { Lineage, Model, ModelVersion, VersionRequest } from "@/api/types";
import { upsert } from "@/live/frame";
import { gatheredQuery, liveQuery } from "@/live/query";

export const modelsQuery = liveQuery<Model[]>(
  ["models"],
  (signal) => everything((query) => hub.GET("/api/v1/models", { params: { query }, signal })),
  (models, frame) => (frame.topic === "model" ? withVersion(models, frame.data) : models),
);

export const versionsQuery = (name: string) =>
  liveQuery<ModelVersion[]>(
    ["models", name, "versions"],
    (signal) =>
      everything((query) =>
        hub.GET("/api/v1/models/{name}/versions", { params: { path: { name }, query }, signal }),
      ),
    (versions, frame) =>
      frame.topic === "model" && frame.data.model === name ? withState(versions, frame.data) : versions,
  );

/** The run and the devices that a version comes from, and those that serve it. */
export const lineageQuery = (name: string, version: number) =>
  gatheredQuery<Lineage>(
    ["models", name, "lineage", version],
    (signal) =>
      answered(
        hub.GET("/api/v1/models/{name}/versions/{version}/lineage", {
          params: { path: { name, version } },
          signal,
        }),
      ),
    (frame) =>
      frame.topic === "device" ||
      ((frame.topic === "model" || frame.topic === "rollout") && frame.data.model === name),
  );

/** What describes the files of a version that is uploaded. */
export type Described = Partial<Omit<VersionRequest, "weights" | "graph">>;

export function register(
  name: string,
  body: Described & { weights: string; graph?: string },
): Promise<ModelVersion> {
  return answered(
    hub.POST("/api/v1/models/{name}/versions", { params: { path: { name } }, body: sparse(body) }),
  );
}

export function promote({ model, version }: ModelVersion): Promise<ModelVersion> {
  return answered(
    hub.POST("/api/v1/models/{name}/versions/{version}/promote", {
      params: { path: { name: model, version } },
    }),
  );
}

/** Of a model's versions one at most is promoted: the newest promotion takes the place of the earlier one. */
export function withState(versions: readonly ModelVersion[], changed: ModelVersion): ModelVersion[] {
  const others = changed.promoted
    ? versions.map((version) => (version.promoted ? { ...version, promoted: false } : version))
    : versions;
  return upsert(others, changed, (other) => other.version === changed.version);
}

export function withVersion(models: readonly Model[], changed: ModelVersion): Model[] {
  const before = models.find((model) => model.name === changed.model);
  const isNew = !before || changed.version > before.latest;
  const withdrawn = !changed.promoted && before?.promoted === changed.version;
  const after: Model = {
    name: changed.model,
    versions: (before?.versions ?? 0) + (isNew ? 1 : 0),
    latest: Math.max(before?.latest ?? 0, changed.version),
    promoted: changed.promoted ? changed.version : withdrawn ? null : (before?.promoted ?? null),
    updated_at: Math.max(before?.updated_at ?? 0, changed.manifest.created_at),
  };
  return upsert(models, after, (other) => other.name === after.name);
}
