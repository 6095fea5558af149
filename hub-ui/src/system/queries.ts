import { answered, hub } from "@/api/client";
import type { Setting, SystemState } from "@/api/types";
import { loadedQuery, polledQuery } from "@/live/query";

/** Of the hub that answers: what changes all the time is asked for now and then. */
export const systemQuery = polledQuery<SystemState>(["system"], (signal) =>
  answered(hub.GET("/api/v1/system", { signal })),
);

export const settingsQuery = loadedQuery<Setting[]>(["settings"], (signal) =>
  answered(hub.GET("/api/v1/system/settings", { signal })),
);
