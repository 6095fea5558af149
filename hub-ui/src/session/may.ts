import { queryOptions, useQuery } from "@tanstack/react-query";
import { answered, hub } from "@/api/client";
import type { Me, Permission } from "@/api/types";
import { session } from "./session";

const meQuery = (username: string) =>
  queryOptions<Me>({
    queryKey: ["me", username],
    queryFn: ({ signal }) => answered(hub.GET("/api/v1/auth/me", { signal })),
    staleTime: Number.POSITIVE_INFINITY,
  });

/** What whoever is signed in may do, by the hub's word. */
export function usePermissions(): readonly Permission[] {
  const { data } = useQuery(meQuery(session.get()?.username ?? ""));
  return data?.permissions ?? [];
}

/** Whether whoever is signed in may do that. The hub decides anyway; this only hides what it would refuse. */
export function useMay(permission: Permission): boolean {
  return usePermissions().includes(permission);
}
