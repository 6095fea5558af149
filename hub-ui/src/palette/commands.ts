/** What the palette finds: pages, things, and what one can do; without React. */
import type { DeviceBrief, Model, Permission, Run } from "@/api/types";
import { ACCOUNT, ADMINISTRATION, PAGES } from "@/app/pages";
import { t } from "@/texts";

export type Target =
  | { to: string }
  | { device: string }
  | { run: string }
  | { model: string }
  | { act: "theme" | "language" | "sign-out" | "shortcuts" };

export interface Found {
  key: string;
  label: string;
  /** What it is: a page, a device. */
  kind: string;
  target: Target;
}

interface Known {
  permissions: readonly Permission[];
  devices: Iterable<DeviceBrief>;
  runs: readonly Run[];
  models: readonly Model[];
}

const MOST = 12;
/** Of one kind, so that ten thousand devices do not hide the rest. */
const MOST_OF_A_KIND = 5;

/** The best matches: what begins with what was typed comes first; pages alone while nothing is typed. */
export function find(typed: string, known: Known): Found[] {
  const words = typed.trim().toLowerCase();
  const fixed = fixedCommands(known.permissions);
  if (!words) return fixed;
  const groups = [fixed, devices(known.devices, words), runs(known.runs), models(known.models)];
  return groups
    .flatMap((group) => best(group, words))
    .sort((one, other) => rank(one.label, words) - rank(other.label, words))
    .slice(0, MOST);
}

function best(group: readonly Found[], words: string): Found[] {
  return group
    .filter(({ label, key }) => `${label} ${key}`.toLowerCase().includes(words))
    .sort((one, other) => rank(one.label, words) - rank(other.label, words))
    .slice(0, MOST_OF_A_KIND);
}

function rank(label: string, words: string): number {
  const at = label.toLowerCase().indexOf(words);
  return at === -1 ? 1000 : at;
}

function fixedCommands(permissions: readonly Permission[]): Found[] {
  const pages = [...PAGES, ...ADMINISTRATION, ACCOUNT].filter(({ needs }) => permissions.includes(needs));
  const page = (to: string, label: string): Found => ({
    key: `page ${to}`,
    label,
    kind: t.palette.kinds.page,
    target: { to },
  });
  const act = (what: "theme" | "language" | "sign-out" | "shortcuts", label: string): Found => ({
    key: `act ${what}`,
    label,
    kind: t.palette.kinds.act,
    target: { act: what },
  });
  return [
    ...pages.map(({ to, label }) => page(to, label)),
    ...(permissions.includes("runs:operate") ? [page("/runs/new", t.startRun)] : []),
    page("/runs/compare", t.palette.compare),
    ...(permissions.includes("devices:enrol") ? [page("/enrol", t.enrolDevices)] : []),
    act("theme", t.palette.theme),
    act("language", t.palette.language),
    act("shortcuts", t.palette.shortcuts),
    act("sign-out", t.login.signOut),
  ];
}

/** Of ten thousand only those that match are made into anything. */
function devices(known: Iterable<DeviceBrief>, words: string): Found[] {
  const found: Found[] = [];
  for (const { id, name } of known)
    if (name.toLowerCase().includes(words) || id.includes(words))
      found.push({ key: `device ${id}`, label: name, kind: t.palette.kinds.device, target: { device: id } });
  return found;
}

function runs(known: readonly Run[]): Found[] {
  return [...known]
    .sort((one, other) => other.started_at - one.started_at)
    .map(({ id, app }) => ({ key: `run ${id}`, label: app, kind: t.palette.kinds.run, target: { run: id } }));
}

function models(known: readonly Model[]): Found[] {
  return known.map(({ name }) => ({
    key: `model ${name}`,
    label: name,
    kind: t.palette.kinds.model,
    target: { model: name },
  }));
}
