import { QueryClient } from "@tanstack/react-query";
import { expect, test } from "vitest";
import type { RingDevice } from "@/api/types";
import { applyFrames } from "@/live/query";
import { ringDevicesQuery, rolloutQuery, rolloutsQuery, withRollout } from "@/rollouts/queries";
import { openRings, serving, troubledFirst, watchedUntil, whom } from "@/rollouts/rings";
import { ring, rollout } from "./things";

test("whom a ring names is said in words", () => {
  expect(whom(ring())).toBe("everybody");
  expect(whom(ring({}, { share: 0.05 }))).toBe("5% of the fleet");
  expect(whom(ring({}, { tags: ["lab"], sites: ["roof"] }))).toBe("tag lab, site roof");
  expect(whom(ring({}, { share: 0.125, tags: ["lab"] }))).toBe("12.5% of tag lab");
});

test("a ring is watched until its soak is over, once that has begun", () => {
  const soaking = { soaking_since: 100 };
  expect(watchedUntil(ring({ ...soaking, state: "open" }))).toBe(160);
  expect(watchedUntil(ring({ ...soaking, state: "passed" }))).toBeNull();
  expect(watchedUntil(ring({ state: "open" }))).toBeNull();
});

test("devices that serve it are counted over the rings that are open", () => {
  const rings = [ring({ state: "passed" }, {}, 2), ring({ state: "open" }, {}, 3)];
  expect(openRings([...rings, ring({ state: "pending" })])).toHaveLength(2);
  expect(serving([...rings, ring({ state: "pending" })])).toBe(5);
});

test("devices that need a look come first", () => {
  const device = (standing: RingDevice["standing"]) => ({ standing }) as RingDevice;
  const sorted = troubledFirst([
    device("serving"),
    device("waiting"),
    device("refused"),
    device("rolled back"),
  ]);
  expect(sorted.map(({ standing }) => standing)).toEqual(["rolled back", "refused", "serving", "waiting"]);
});

test("a rollout's frame reaches its model's list, its page and outdates its devices", () => {
  const client = new QueryClient();
  const list = rolloutsQuery("digits");
  const page = rolloutQuery(rollout().id);
  const devices = ringDevicesQuery(rollout().id);
  for (const [query, data] of [
    [list, [rollout()]],
    [page, rollout()],
    [devices, []],
  ] as const) {
    client
      .getQueryCache()
      .build(client, client.defaultQueryOptions(query as { queryKey: readonly unknown[] }));
    client.setQueryData(query.queryKey as readonly unknown[], data);
  }
  applyFrames(client, [{ topic: "rollout", data: rollout({ status: "done" }) }]);
  expect(client.getQueryData(list.queryKey)?.[0]?.status).toBe("done");
  expect(client.getQueryData(page.queryKey)?.status).toBe("done");
  expect(client.getQueryState(devices.queryKey)?.isInvalidated).toBe(true);
});

test("a new rollout stands before the older ones, and one of another model nowhere", () => {
  const newer = rollout({ id: "rollout-000000000002", started_at: 2 });
  expect(withRollout([rollout()], newer).map(({ id }) => id)).toEqual([newer.id, rollout().id]);
  const client = new QueryClient();
  const list = rolloutsQuery("digits");
  client.getQueryCache().build(client, client.defaultQueryOptions(list));
  client.setQueryData(list.queryKey, []);
  applyFrames(client, [{ topic: "rollout", data: rollout({ model: "other" }) }]);
  expect(client.getQueryData(list.queryKey)).toEqual([]);
});
