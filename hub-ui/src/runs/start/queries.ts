import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import { answered, everything, hub } from "@/api/client";
import type { App, Candidates, Dataset, Run, RunRequest, StrategySchema } from "@/api/types";
import { loadedQuery } from "@/live/query";
import { ON, type Values } from "./fields";

/** Newest first. */
export const appsQuery = loadedQuery<App[]>(["apps"], (signal) =>
  everything((query) => hub.GET("/api/v1/apps", { params: { query }, signal })),
);

/** Those that a run can be started with by name; the command line reads the same. */
export const strategiesQuery = queryOptions<StrategySchema[]>({
  queryKey: ["strategies"],
  queryFn: ({ signal }) => answered(hub.GET("/api/v1/strategies", { signal })),
  staleTime: Number.POSITIVE_INFINITY,
});

export const datasetsQuery = loadedQuery<Dataset[]>(["datasets"], (signal) =>
  everything((query) => hub.GET("/api/v1/datasets", { params: { query }, signal })),
);

/** Of a FAB that was uploaded before. */
export function takeUploadedApp(upload: string): Promise<App> {
  return answered(hub.POST("/api/v1/apps/uploaded", { body: { upload } }));
}

export function startRun(body: RunRequest): Promise<Run> {
  return answered(hub.POST("/api/v1/runs", { body }));
}

/** As the run would be started, with the price of its privacy; nothing is kept. */
export function checkRun(body: RunRequest): Promise<Run> {
  return answered(hub.POST("/api/v1/runs/check", { body }));
}

export interface CandidateFilter {
  app?: string;
  tags?: string[];
  sites?: string[];
  on_mains?: boolean;
  unmetered?: boolean;
  least_samples?: number;
}

/** What of the form decides which devices take part. */
export function filterOf(values: Values): CandidateFilter {
  const list = (path: string) =>
    (values[path] ?? "")
      .split(",")
      .map((each) => each.trim())
      .filter(Boolean);
  const tags = list("plan.filter.tags");
  const sites = list("plan.filter.sites");
  const least = Number(values["plan.filter.least_samples"] ?? 0);
  return {
    ...(values.fab_hash && { app: values.fab_hash }),
    ...(tags.length > 0 && { tags }),
    ...(sites.length > 0 && { sites }),
    ...(values["plan.filter.on_mains"] === ON && { on_mains: true }),
    ...(values["plan.filter.unmetered"] === ON && { unmetered: true }),
    ...(Number.isInteger(least) && least > 0 && { least_samples: least }),
  };
}

/** Whom a run with this filter could count on now. */
export const candidatesQuery = (filter: CandidateFilter) =>
  queryOptions<Candidates>({
    queryKey: ["runs", "candidates", filter],
    queryFn: ({ signal }) =>
      answered(hub.GET("/api/v1/runs/candidates", { params: { query: filter }, signal })),
    placeholderData: keepPreviousData,
  });
