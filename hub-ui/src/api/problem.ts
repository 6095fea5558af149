import { t } from "@/texts";

/** What the hub answers instead of a result (RFC 9457), or what the console says when there was no answer. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly title: string,
    readonly detail: string,
    readonly hint = "",
    /** Of the request, as the hub's logs and traces name it. */
    readonly traceId = "",
    /** Seconds after which it may be asked again; 0 where the hub does not say. */
    readonly retryAfter = 0,
  ) {
    super(detail);
  }

  /** Whether time may heal it, so that asking again makes sense. */
  get transient(): boolean {
    return this.status === 0 || this.status >= 500;
  }
}

export async function problemOf(response: Response): Promise<Problem> {
  const body: unknown = await response.json().catch(() => null);
  const field = (name: string): string => {
    const value = (body as Record<string, unknown> | null)?.[name];
    return typeof value === "string" ? value : "";
  };
  return new Problem(
    response.status,
    field("title") || response.statusText || String(response.status),
    field("detail") || t.problem.unknown(response.status),
    field("hint"),
    field("trace_id"),
    Number(response.headers.get("Retry-After")) || 0,
  );
}

export function unreachable(): Problem {
  return new Problem(0, t.problem.unreachable, t.problem.unreachableDetail, t.problem.unreachableHint);
}

export function asProblem(error: unknown): Problem {
  return error instanceof Problem ? error : new Problem(0, t.problem.broken, String(error));
}
