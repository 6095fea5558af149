import { queryOptions } from "@tanstack/react-query";
import { answered, everything, hub } from "@/api/client";
import type { App, Dataset, Run, RunRequest, StrategySchema } from "@/api/types";
import { polledQuery } from "@/live/query";

/** Newest first. */
export const appsQuery = polledQuery<App[]>(["apps"], (signal) =>
  everything((query) => hub.GET("/api/v1/apps", { params: { query }, signal })),
);

/** Those that a run can be started with by name; the command line reads the same. */
export const strategiesQuery = queryOptions<StrategySchema[]>({
  queryKey: ["strategies"],
  queryFn: ({ signal }) => answered(hub.GET("/api/v1/strategies", { signal })),
  staleTime: Number.POSITIVE_INFINITY,
});

export const datasetsQuery = polledQuery<Dataset[]>(["datasets"], (signal) =>
  everything((query) => hub.GET("/api/v1/datasets", { params: { query }, signal })),
);

export function startRun(body: RunRequest): Promise<Run> {
  return answered(hub.POST("/api/v1/runs", { body }));
}

/** As the run would be started, with the price of its privacy; nothing is kept. */
export function checkRun(body: RunRequest): Promise<Run> {
  return answered(hub.POST("/api/v1/runs/check", { body }));
}
