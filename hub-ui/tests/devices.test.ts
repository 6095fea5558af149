import { expect, test } from "vitest";
import type { Device } from "@/api/types";
import { stateText } from "@/devices/DeviceState";
import { clockText, isNews, wordsOf } from "@/devices/events";
import { countByStatus, deviceFilter, matching } from "@/devices/filter";
import { device, fleetOf } from "./things";

const devices = fleetOf(
  device({ id: "dev-a", name: "press", status: "revoked" }),
  device({ id: "dev-b", name: "orchard", status: "unknown" }),
  device({ id: "dev-c", name: "clinic" }),
);

test("devices stand by name, as the hub lists them", () => {
  expect(matching(devices, {}).map((each) => each.name)).toEqual(["clinic", "orchard", "press"]);
});

test("what was typed is found in names, ids and served models", () => {
  const serving = [{ model: "digits", version: 4, since: 0, url: "" }];
  const reported = {
    generation: 1,
    agent_version: "",
    training: "idle",
    serving,
    held_because: "",
    on_battery: false,
    metered: false,
    mode: "normal",
  };
  const fleet = fleetOf(
    device({ id: "dev-d", name: "ferry", reported }),
    device({ id: "dev-b", name: "orchard" }),
  );
  expect(matching(fleet, { q: " DIGITS@4 " }).map((each) => each.name)).toEqual(["ferry"]);
  expect(matching(fleet, { q: "dev-b" }).map((each) => each.name)).toEqual(["orchard"]);
});

test("a filter from an address keeps only what it knows", () => {
  expect(deviceFilter({ status: "unknown", q: 42, page: 3 })).toEqual({ status: "unknown", q: "42" });
  expect(deviceFilter({ site: "north", tag: "gpu", view: "map", group: "" })).toEqual({
    site: "north",
    tag: "gpu",
    view: "map",
  });
  expect(deviceFilter({ status: "gone", q: "" })).toEqual({});
});

test("every state is counted", () => {
  expect(countByStatus(devices.values())).toEqual({ ok: 1, unhealthy: 0, unknown: 1, revoked: 1 });
});

test("a silent device is unknown since its last sign of life", () => {
  const at = new Date(2026, 10, 21, 14, 2).getTime() / 1000;
  const silent = device({ status: "unknown", last_seen: at });
  expect(stateText(silent, at + 600)).toMatch(/^Unknown since .*02/);
  expect(stateText(device({ status: "unknown", last_seen: null }), at)).toBe("Never seen");
  expect(stateText(device(), at)).toBe("Healthy");
});

test("a silent device whose bytes are used up says until when, and what is left", () => {
  const at = new Date(2026, 10, 21, 14, 2).getTime() / 1000;
  const network = { limit: 6 * 2 ** 20, left: 2 ** 18, passed: {}, pace: 2400, until: at + 3600 };
  const health = { ...device({}).health, network } as Device["health"];
  const silent = device({ status: "unknown", last_seen: at, health });
  expect(stateText(silent, at)).toMatch(/: bytes used up until .*03.*, 256.KiB left for alerts$/);
  expect(stateText(silent, at + 3601)).not.toContain("used up");
});

const event = (kind: string, body: unknown) => ({
  epoch: "e",
  seq: 1,
  priority: 2 as const,
  kind,
  at: { wall: 0, monotonic: 0, boot_id: "" },
  happened_at: 0,
  received_at: 0,
  body,
});

test("a rollback says from which version to which, and why", () => {
  const body = {
    model: "digits",
    version: 6,
    manifest: "m",
    to_version: 5,
    reason: "error rate 12 %",
    at: 0,
  };
  expect(wordsOf(event("rollback", body))).toBe("digits@6 to digits@5: error rate 12 %");
  expect(isNews(event("rollback", body))).toBe(true);
});

test("an action says what came of it, and not its whole answer", () => {
  const body = { id: "act-1", outcome: "failed", exit_status: 1, text: "ok\nmissing", at: 0, log: "" };
  expect(wordsOf(event("action", body))).toBe("act-1: Failed");
});

test("a repair says what was repaired", () => {
  expect(wordsOf(event("repair", { code: "disk-low", text: "old logs removed" }))).toBe(
    "disk-low: old logs removed",
  );
  expect(wordsOf(event("odd", null))).toBe("");
});

test("heartbeats are no news", () => {
  expect(["health", "state", "repair"].map((kind) => isNews(event(kind, {})))).toEqual([false, false, true]);
});

test("a rollout is news and says what it took; a message's spans stand on its run's page", () => {
  const span = { trace_id: "", span_id: "", start: 0, error: "" };
  const spans = [
    { ...span, name: "rollout", duration: 3.2, attributes: { model: "digits", version: "4" } },
    { ...span, name: "fetch", duration: 3, parent_id: "0" },
    { ...span, name: "prepare", duration: 0.2, parent_id: "0" },
  ];
  const rollout = event("spans", { spans, message_id: "" });
  expect(isNews(rollout)).toBe(true);
  expect(wordsOf(rollout)).toBe("digits@4: fetched in 3.0 sec, checked in 0.2 sec");
  expect(isNews(event("spans", { spans, message_id: "m1" }))).toBe(false);
});

test("a clock is behind, ahead or right", () => {
  expect([0.26, -12, -0.04].map(clockText)).toEqual([
    "0.3 s behind the hub's",
    "12.0 s ahead of the hub's",
    "as the hub's",
  ]);
});
