import { answered, hub } from "@/api/client";
import type { RoleGrant } from "@/api/types";
import { loadedQuery } from "@/live/query";

export const rolesQuery = loadedQuery<RoleGrant[]>(["roles"], (signal) =>
  answered(hub.GET("/api/v1/auth/roles", { signal })),
);
