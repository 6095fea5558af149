/** What is in the form becomes a request for a rollout; without React. */
import type { RolloutRequest } from "@/api/types";

export interface RingRow {
  /** For React: rows come and go. */
  key: number;
  name: string;
  share: string;
  tags: string;
  sites: string;
  soak: string;
}

export const GATES = {
  serving: "1",
  settled: "0.9",
  refusals: "0.1",
  rollbacks: "0.05",
  errors: "0.02",
  slowdown: "2",
  accuracy: "0",
  accuracy_loss: "0.05",
  judged_by: "50",
  calls: "0",
  feedbacks: "0",
} as const;
/** By the hub's names, with what holds when nothing is given. */

export function canary(key: number): RingRow {
  return { key, name: key === 1 ? "canary" : `ring-${key}`, share: "0.1", tags: "", sites: "", soak: "900" };
}

export function requestOf(
  model: string,
  version: number,
  rings: readonly RingRow[] | null,
  gates: Readonly<Record<string, string>>,
  again: boolean,
): RolloutRequest {
  const given = Object.entries(gates).filter(([, value]) => value.trim());
  const request = {
    model,
    version,
    again,
    ...(rings && { rings: [...rings.map(ringOf), { name: "everybody", soak: 0 }] }),
    ...(rings && given.length > 0 && { gates: Object.fromEntries(given.map(numbered)) }),
  };
  return request as RolloutRequest; // the hub checks it, and names what is wrong
}

function ringOf({ name, share, tags, sites, soak }: RingRow) {
  return {
    name: name.trim(),
    share: numberOf(share, 1),
    tags: namesOf(tags),
    sites: namesOf(sites),
    soak: numberOf(soak, 900),
  };
}

function numbered([key, value]: [string, string]): [string, unknown] {
  return [key, numberOf(value, 0)];
}

/** What is no number goes to the hub as it is, which names the field. */
function numberOf(text: string, empty: number): unknown {
  const value = Number(text);
  return text.trim() === "" ? empty : Number.isNaN(value) ? text : value;
}

function namesOf(text: string): string[] {
  return text
    .split(",")
    .map((name) => name.trim())
    .filter(Boolean);
}

/** The id of the input that a refusal names; undefined when it names none. */
export function inputNamed(detail: string, rings: readonly RingRow[]): string | undefined {
  const [, gate] = detail.match(/gates\.(\w+)/) ?? [];
  if (gate) return `gates.${gate}`;
  const [, at, field] = detail.match(/rings[[.](\d+)\]?\.(\w+)/) ?? [];
  const indexed = at === undefined ? undefined : rings[Number(at)];
  if (indexed) return `ring-${indexed.key}.${field}`;
  const [, name] = detail.match(/ring '([^']*)'/) ?? detail.match(/rings are named '([^']*)'/) ?? [];
  const named = rings.findLast((ring) => ring.name.trim() === name);
  return named && `ring-${named.key}.name`;
}
