/** What has changed since a moment, newest first, from lists that the console has anyway; without React. */
import type { Alert, Model, Run } from "@/api/types";
import type { Fleet } from "@/devices/fleet";
import { isOver } from "@/runs/progress";

export type Change = { at: number; key: string } & (
  | { kind: "enrolled" | "silent"; id: string; name: string }
  | { kind: "alert" | "resolved"; title: string; name: string }
  | { kind: "run"; id: string; app: string; status: Run["status"] }
  | { kind: "model"; name: string; version: number }
);

export function changesSince(
  since: number,
  fleet: Fleet,
  alerts: readonly Alert[],
  runs: readonly Run[],
  models: readonly Model[],
): Change[] {
  const changes: Change[] = [];
  for (const { id, name, enrolled_at, unknown_since } of fleet.values()) {
    if (enrolled_at > since)
      changes.push({ kind: "enrolled", at: enrolled_at, key: `enrolled ${id}`, id, name });
    else if (unknown_since != null && unknown_since > since)
      changes.push({ kind: "silent", at: unknown_since, key: `silent ${id}`, id, name });
  }
  for (const { id, title, name = "", opened_at, resolved_at } of alerts) {
    if (resolved_at != null && resolved_at > since)
      changes.push({ kind: "resolved", at: resolved_at, key: `resolved ${id}`, title, name });
    else if (opened_at > since)
      changes.push({ kind: "alert", at: opened_at, key: `alert ${id}`, title, name });
  }
  for (const run of runs) {
    const { id, app, status, finished_at, started_at } = run;
    const at = isOver(run) ? (finished_at ?? 0) : started_at;
    if (at > since) changes.push({ kind: "run", at, key: `run ${id}`, id, app, status });
  }
  for (const { name, latest, updated_at } of models)
    if (updated_at > since)
      changes.push({ kind: "model", at: updated_at, key: `model ${name}`, name, version: latest });
  return changes.sort((one, other) => other.at - one.at);
}
