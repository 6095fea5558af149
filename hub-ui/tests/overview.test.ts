import { expect, test } from "vitest";
import type { Alert } from "@/api/types";
import { changesSince } from "@/overview/changes";
import { visited } from "@/overview/visit";
import { device, fleetOf, run } from "./things";

class Memory {
  private readonly values = new Map<string, string>();
  getItem = (key: string) => this.values.get(key) ?? null;
  setItem = (key: string, value: string) => void this.values.set(key, value);
}

test("a visit begins after a quarter of an hour, and knows when the one before ended", () => {
  const storage = new Memory() as unknown as Storage;
  expect(visited(1000, storage)).toBeNull();
  expect(visited(1500, storage)).toBeNull();
  expect(visited(5000, storage)).toBe(1500);
  expect(visited(5100, storage)).toBe(1500);
});

test("what another program left there is a first visit", () => {
  const storage = new Memory() as unknown as Storage;
  storage.setItem("flip.visited", '{"last": "yesterday"}');
  expect(visited(1000, storage)).toBeNull();
  storage.setItem("flip.visited", "not JSON");
  expect(visited(1000, storage)).toBeNull();
});

test("only what came after the last visit is a change, the newest first", () => {
  const alert = { id: "a", title: "Hot", name: "press", opened_at: 50, resolved_at: 130 } as Alert;
  const changes = changesSince(
    100,
    fleetOf(
      device({ id: "dev-new", name: "new", enrolled_at: 110 }),
      device({ id: "dev-silent", name: "silent", enrolled_at: 1, unknown_since: 120, status: "unknown" }),
      device({ id: "dev-old", name: "old", enrolled_at: 1 }),
    ),
    [alert],
    [
      run({ started_at: 10, finished_at: 140, status: "finished" }),
      run({ id: "run-before", finished_at: 90 }),
    ],
    [{ name: "digits", versions: 2, latest: 2, promoted: null, updated_at: 105 }],
  );
  expect(changes.map(({ kind }) => kind)).toEqual(["run", "resolved", "silent", "enrolled", "model"]);
});
