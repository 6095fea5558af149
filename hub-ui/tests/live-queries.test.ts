import { QueryClient } from "@tanstack/react-query";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { devicesQuery } from "@/devices/queries";
import type { Frame } from "@/live/frame";
import { link } from "@/live/link";
import { applyFrames, liveQuery } from "@/live/query";
import { modelsQuery, versionsQuery } from "@/models/queries";
import { lateQuery, runQuery, runsQuery } from "@/runs/queries";
import { device, round, run, version } from "./things";

let client: QueryClient;
beforeEach(() => {
  client = new QueryClient();
});
afterEach(() => vi.restoreAllMocks());

test("a device's frame replaces the device and leaves the others alone", () => {
  const other = device({ id: "dev-000000000002" });
  shown(devicesQuery, [device(), other]);
  applyFrames(client, [{ topic: "device", data: device({ status: "unknown" }) }]);
  const [changed, kept] = client.getQueryData(devicesQuery.queryKey) ?? [];
  expect(changed?.status).toBe("unknown");
  expect(kept).toBe(other);
});

test("a new device appears", () => {
  shown(devicesQuery, []);
  applyFrames(client, [{ topic: "device", data: device() }]);
  expect(client.getQueryData(devicesQuery.queryKey)).toHaveLength(1);
});

test("a run's frame reaches the list and the run's own page", () => {
  const detail = runQuery(run().id);
  shown(runsQuery, [run()]);
  shown(detail, { run: run(), rounds: [] });
  applyFrames(client, [{ topic: "run", data: run({ round: 2 }) }]);
  expect(client.getQueryData(runsQuery.queryKey)?.[0]?.round).toBe(2);
  expect(client.getQueryData(detail.queryKey)?.run.round).toBe(2);
});

test("rounds of another run change nothing", () => {
  const detail = runQuery(run().id);
  const before = { run: run(), rounds: [round(1)] };
  shown(detail, before);
  applyFrames(client, [{ topic: "round", data: round(2, { run_id: "run-ffffffffffff" }) }]);
  expect(client.getQueryData(detail.queryKey)).toBe(before);
});

test("several states of one round leave the last one", () => {
  const detail = runQuery(run().id);
  shown(detail, { run: run(), rounds: [] });
  applyFrames(client, [
    { topic: "round", data: round(1) },
    { topic: "round", data: round(1, { answered: ["dev-000000000001"] }) },
  ]);
  expect(client.getQueryData(detail.queryKey)?.rounds).toEqual([
    round(1, { answered: ["dev-000000000001"] }),
  ]);
});

test("a promotion takes the earlier one's place, on both pages", () => {
  const versions = versionsQuery("digits");
  shown(versions, [version(1, { promoted: true }), version(2)]);
  shown(modelsQuery, [{ name: "digits", versions: 2, latest: 2, promoted: 1, updated_at: 2 }]);
  applyFrames(client, [{ topic: "model", data: version(2, { promoted: true }) }]);
  expect(client.getQueryData(versions.queryKey)?.map((each) => each.promoted)).toEqual([false, true]);
  expect(client.getQueryData(modelsQuery.queryKey)?.[0]).toMatchObject({ versions: 2, promoted: 2 });
});

test("a new version counts once", () => {
  shown(modelsQuery, []);
  const frame: Frame = { topic: "model", data: version(1) };
  applyFrames(client, [frame, frame]);
  expect(client.getQueryData(modelsQuery.queryKey)).toEqual([
    { name: "digits", versions: 1, latest: 1, promoted: null, updated_at: 1 },
  ]);
});

test("a list that grew is loaded again, and no other", () => {
  const grown = lateQuery("run-000000000001");
  const other = lateQuery("run-000000000002");
  for (const query of [grown, other]) shown(query, { kept: [], dropped: 0 });
  applyFrames(client, [{ topic: "grew", data: { of: "late", id: "run-000000000001" } }]);
  const outdated = [grown, other].map(({ queryKey }) => client.getQueryState(queryKey)?.isInvalidated);
  expect(outdated).toEqual([true, false]);
});

test("an answer that was overtaken by a frame is brought up to date", async () => {
  let pass: (frames: readonly Frame[]) => void = () => {};
  vi.spyOn(link, "onFrames").mockImplementation((listener) => {
    pass = listener;
    return () => {};
  });
  const query = liveQuery<string[]>(
    ["overtaken"],
    async () => {
      pass([{ topic: "lagged" }]);
      return ["old"];
    },
    (data, frame) => [...data, frame.topic],
  );
  expect(await client.fetchQuery(query)).toEqual(["old", "lagged"]);
});

/** As a page shows it: a query knows how frames change it from the first time a page uses it. */
function shown(query: { queryKey: readonly unknown[] }, data: unknown): void {
  client.getQueryCache().build(client, client.defaultQueryOptions(query));
  client.setQueryData(query.queryKey, data);
}
