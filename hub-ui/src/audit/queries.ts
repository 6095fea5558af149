import { infiniteQueryOptions } from "@tanstack/react-query";
import { answered, hub, nextCursor } from "@/api/client";
import type { AuditEntry, Verdict } from "@/api/types";

export interface AuditFilter {
  actor?: string;
  action?: string;
  subject?: string;
  outcome?: "done" | "refused";
}

/** Of the page's address. */
export function auditSearch(search: Record<string, unknown>): AuditFilter {
  const text = (key: "actor" | "action" | "subject") =>
    typeof search[key] === "string" && search[key] !== "" ? { [key]: search[key] } : {};
  const outcome = (["done", "refused"] as const).find((known) => known === search.outcome);
  return { ...text("actor"), ...text("action"), ...text("subject"), ...(outcome && { outcome }) };
}

interface AuditPage {
  entries: AuditEntry[];
  next?: string;
}

const AT_ONCE = 100;

/** Newest first. */
export const auditPagesQuery = ({ outcome, ...exact }: AuditFilter) =>
  infiniteQueryOptions({
    queryKey: ["audit", { ...exact, outcome }],
    queryFn: async ({ signal, pageParam }): Promise<AuditPage> => {
      const query = {
        ...exact,
        ...(outcome && { refused: outcome === "refused" }),
        limit: AT_ONCE,
        ...(pageParam && { cursor: pageParam }),
      };
      const { data, response } = await hub.GET("/api/v1/audit", { params: { query }, signal });
      const next = nextCursor(response.headers.get("Link"));
      return { entries: data ?? [], ...(next && { next }) };
    },
    initialPageParam: "",
    getNextPageParam: (last: AuditPage) => last.next,
  });

export function verifyAudit(): Promise<Verdict> {
  return answered(hub.GET("/api/v1/audit/verification"));
}
