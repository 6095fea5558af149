import { QueryClient, QueryObserver } from "@tanstack/react-query";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Device } from "@/api/types";
import { fleetQuery, withDevices } from "@/devices/fleet";
import { devicePagesQuery, deviceQuery, placed } from "@/devices/queries";
import type { Frame } from "@/live/frame";
import { link } from "@/live/link";
import { applyFrames, gatheredQuery, liveQuery, pushedQuery } from "@/live/query";
import { modelsQuery, versionsQuery } from "@/models/queries";
import { lateQuery, runQuery, runsQuery } from "@/runs/queries";
import { device, fleetOf, round, run, version } from "./things";

let client: QueryClient;
beforeEach(() => {
  client = new QueryClient();
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

test("a device's frame reaches the fleet, the device's own page and the page of the list", () => {
  const other = device({ id: "dev-000000000002", name: "wind" });
  const pages = devicePagesQuery({});
  shown(fleetQuery, fleetOf(device(), other));
  shown(deviceQuery(device().id), device());
  shown(pages, paged([device(), other]));
  applyFrames(client, [{ topic: "device", data: device({ status: "unknown" }) }]);
  expect(client.getQueryData(fleetQuery.queryKey)?.get(device().id)?.status).toBe("unknown");
  expect(client.getQueryData(deviceQuery(device().id).queryKey)?.status).toBe("unknown");
  const [changed, kept] = client.getQueryData(pages.queryKey)?.pages[0]?.devices ?? [];
  expect(changed?.status).toBe("unknown");
  expect(kept).toBe(other);
});

test("a device that was only heard changes nothing of the fleet", () => {
  const before = fleetOf(device());
  expect(withDevices(before, [{ topic: "device", data: device({ last_seen: 200 }) }])).toBe(before);
  expect(withDevices(before, [{ topic: "device", data: device({ site: "north" }) }])).not.toBe(before);
});

test("a device comes to its place in the list, and leaves it when it no longer fits", () => {
  const [first, second, third] = ["ant", "bee", "fly"].map((name) => device({ id: `dev-${name}`, name }));
  if (!first || !second || !third) throw new Error();
  const tell = (pages: ReturnType<typeof paged>, data: Device, filter = {}) =>
    placed(pages, [{ topic: "device", data }], filter).pages.map(({ devices }) =>
      devices.map(({ name }) => name),
    );
  expect(tell(paged([first, third]), second)).toEqual([["ant", "bee", "fly"]]);
  expect(tell(paged([first], [third]), second)).toEqual([["ant"], ["bee", "fly"]]);
  expect(tell(paged([first, second], "more"), third)).toEqual([["ant", "bee"]]);
  expect(tell(paged([]), second)).toEqual([["bee"]]);
  expect(tell(paged([first, second]), { ...second, status: "revoked" }, { status: "ok" })).toEqual([["ant"]]);
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

test("a list that grew while it was first loaded is loaded again", async () => {
  const answers = ["old", "new"];
  const query = pushedQuery(
    ["grows"],
    async () => {
      const answer = answers.shift();
      if (answer === "old") applyFrames(client, [{ topic: "lagged" }]);
      return answer;
    },
    (frame) => frame.topic === "lagged",
  );
  const seen: unknown[] = [];
  const stop = new QueryObserver(client, query).subscribe(({ data }) => seen.push(data));
  await vi.waitFor(() => expect(seen.at(-1)).toBe("new"));
  stop();
});

test("what many frames change a little is loaded again once, seconds after the first of them", async () => {
  vi.useFakeTimers();
  let loads = 0;
  const query = gatheredQuery(
    ["gathers"],
    async () => ++loads,
    (frame) => frame.topic === "lagged",
  );
  const stop = new QueryObserver(client, query).subscribe(() => {});
  await vi.advanceTimersByTimeAsync(60_000);
  expect(loads).toBe(1);
  for (let second = 0; second < 4; second++) {
    applyFrames(client, [{ topic: "lagged" }]);
    await vi.advanceTimersByTimeAsync(1000);
  }
  expect(loads).toBe(1);
  await vi.advanceTimersByTimeAsync(2000);
  expect(loads).toBe(2);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(loads).toBe(2);
  stop();
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

/** Pages of these devices; "more": another one is not loaded. */
function paged(...given: (Device[] | "more")[]) {
  const loaded = given.filter((each) => each !== "more");
  const pages = loaded.map((devices, index) => ({
    devices,
    ...((index < loaded.length - 1 || given.includes("more")) && { next: "cursor" }),
  }));
  return { pages, pageParams: pages.map(() => "") };
}
