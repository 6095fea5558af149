import { expect, test } from "vitest";
import type { Permission } from "@/api/types";
import { Shortcuts } from "@/app/shortcuts";
import { find } from "@/palette/commands";
import { device, fleetOf, run } from "./things";

const ALL: Permission[] = [
  "devices:read",
  "devices:enrol",
  "runs:read",
  "runs:operate",
  "models:read",
  "audit:read",
];

function known(permissions = ALL) {
  const devices = fleetOf(
    ...Array.from({ length: 50 }, (_, index) => device({ id: `dev-${index}`, name: `run-box-${index}` })),
  );
  return { permissions, devices: devices.values(), runs: [run({ app: "runner 1.0" })], models: [] };
}

test("without a word the pages that one may see are offered", () => {
  const labels = find("", known(["runs:read"])).map(({ label }) => label);
  expect(labels).toContain("Runs");
  expect(labels).not.toContain("Devices");
  expect(labels).not.toContain("Start a run");
});

test("many devices do not hide the rest, and what begins with the word comes first", () => {
  const found = find("run", known());
  expect(found.filter(({ kind }) => kind === "Device")).toHaveLength(5);
  expect(found.map(({ label }) => label)).toContain("runner 1.0");
  expect(found[0]?.label.toLowerCase().startsWith("run")).toBe(true);
});

test("a g and a letter go to a page, if they follow each other", () => {
  const shortcuts = new Shortcuts();
  const press = (key: string, at: number, ctrl = false) => shortcuts.press({ key, at, ctrl });
  expect(press("g", 0)).toBeNull();
  expect(press("d", 500)).toEqual({ kind: "go", to: "/devices" });
  expect(press("d", 600)).toBeNull();
  press("g", 1000);
  expect(press("d", 4000)).toBeNull();
  expect(press("/", 5000)).toEqual({ kind: "search" });
  expect(press("k", 5000, true)).toEqual({ kind: "palette" });
  expect(press("?", 5000)).toEqual({ kind: "help" });
});
