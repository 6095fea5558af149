/** All HTTP to the hub: typed by its OpenAPI, signed with the session, and every refusal thrown as a `Problem`. */
import createClient from "openapi-fetch";
import { session } from "@/session/session";
import { Problem, problemOf, unreachable } from "./problem";
import type { paths } from "./schema";
import { newTraceparent } from "./trace";

const LOGIN = "/api/v1/auth/login";

export const hub = createClient<paths>({ baseUrl: location.origin });

hub.use({
  onRequest({ request }) {
    const token = session.get()?.token;
    if (token) request.headers.set("Authorization", `Bearer ${token}`);
    if (request.method !== "GET") request.headers.set("traceparent", newTraceparent());
    return request;
  },
  async onResponse({ response, schemaPath }) {
    if (response.ok) return;
    if (response.status === 401 && schemaPath !== LOGIN) session.end();
    throw await problemOf(response);
  },
  onError({ error }) {
    return error instanceof Problem || isAbort(error) ? (error as Error) : unreachable();
  },
});

/** The body of an answer; refusals were thrown before. */
export async function answered<T>(call: Promise<{ data?: T }>): Promise<T> {
  const { data } = await call;
  if (data === undefined) throw new Problem(0, "Empty answer", "The hub answered without a body.");
  return data;
}

function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}
