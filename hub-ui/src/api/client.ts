/** All HTTP to the hub: typed by its OpenAPI, signed with the session, and every refusal thrown as a `Problem`. */
import createClient from "openapi-fetch";
import { session } from "@/session/session";
import { Problem, problemOf, unreachable } from "./problem";
import type { paths } from "./schema";
import { newTraceparent } from "./trace";

/** Refusals of these are answers to whoever signs in, no end of a session. */
const WAYS_IN = ["/api/v1/auth/login", "/api/v1/auth/setup"];

export const hub = createClient<paths, "application/json">({ baseUrl: location.origin });

hub.use({
  async onRequest({ request }) {
    const token = await session.token();
    if (token) request.headers.set("Authorization", `Bearer ${token}`);
    if (request.method !== "GET") request.headers.set("traceparent", newTraceparent());
    return request;
  },
  async onResponse({ request, response, schemaPath }) {
    if (response.ok) return;
    if (response.status === 401 && !WAYS_IN.includes(schemaPath))
      session.refused(request.headers.get("Authorization")?.replace("Bearer ", "") ?? "");
    throw await problemOf(response);
  },
  onError({ error }) {
    return error instanceof Problem || isAbort(error) ? (error as Error) : unreachable();
  },
});

/** A request without what the hub has a default for; the types made from its OpenAPI take that for needed. */
export function sparse<T>(body: Partial<T>): T {
  return body as T;
}

/** The body of an answer; refusals were thrown before. */
export async function answered<T>(call: Promise<{ data?: T }>): Promise<T> {
  const { data } = await call;
  if (data === undefined) throw new Problem(0, "Empty answer", "The hub answered without a body.");
  return data;
}

/** Items that are asked for at once of a list. */
const PAGE = 1000;

export interface PageQuery {
  limit: number;
  cursor?: string;
}

/** The whole of a list, page by page. */
export async function everything<T>(
  page: (query: PageQuery) => Promise<{ data?: T[]; response: Response }>,
): Promise<T[]> {
  const items: T[] = [];
  let cursor: string | undefined;
  do {
    const { data, response } = await page({ limit: PAGE, ...(cursor && { cursor }) });
    items.push(...(data ?? []));
    cursor = nextCursor(response.headers.get("Link"));
  } while (cursor);
  return items;
}

/** Of the header that names the page after this one; undefined on the last. */
export function nextCursor(link: string | null): string | undefined {
  const address = link?.match(/<([^>]*)>;\s*rel="next"/)?.[1];
  return address ? (new URL(address, location.origin).searchParams.get("cursor") ?? undefined) : undefined;
}

function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}
