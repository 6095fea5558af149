import type { Device, DeviceBrief, DeviceStatus } from "@/api/types";
import type { Fleet } from "./fleet";

export const STATUSES: readonly DeviceStatus[] = ["ok", "unhealthy", "unknown", "revoked"];

/** Which devices to show, and how; it lives in the URL, so that a view can be kept and passed on. */
export interface DeviceFilter {
  q?: string;
  status?: DeviceStatus;
  site?: string;
  tag?: string;
  group?: string;
  view?: "map";
}

export function deviceFilter(search: Record<string, unknown>): DeviceFilter {
  const status = STATUSES.find((known) => known === search.status);
  const text = (key: "q" | "site" | "tag" | "group") => {
    const value = search[key];
    return value === undefined || value === "" ? {} : { [key]: String(value) };
  };
  return {
    ...text("q"),
    ...(status && { status }),
    ...text("site"),
    ...text("tag"),
    ...text("group"),
    ...(search.view === "map" && { view: "map" as const }),
  };
}

/** What of it chooses devices. */
export function isFiltered({ view: _, ...chosen }: DeviceFilter): boolean {
  return Object.keys(chosen).length > 0;
}

/** As the hub decides it: each word stands in its name, its id or a model that it serves. */
export function fits(device: DeviceBrief, filter: DeviceFilter): boolean {
  const { status, site, tag, group, q = "" } = filter;
  if (status && device.status !== status) return false;
  if (site && device.site !== site) return false;
  if (tag && !device.tags?.includes(tag)) return false;
  if (group && !device.groups?.includes(group)) return false;
  const words = q.toLowerCase().split(/\s+/).filter(Boolean);
  return words.length === 0 || words.every((word) => holds(device, word));
}

function holds({ name, id, serving = [] }: DeviceBrief, word: string): boolean {
  return [name, id, ...serving].some((text) => text.toLowerCase().includes(word));
}

/** By name, as the hub lists them. */
export function matching(fleet: Fleet, filter: DeviceFilter): DeviceBrief[] {
  return [...fleet.values()].filter((device) => fits(device, filter)).sort(byName);
}

/** In the order of the registry: by code units, then by id. */
export function byName(one: Pick<Device, "name" | "id">, other: Pick<Device, "name" | "id">): number {
  return order(one.name, other.name) || order(one.id, other.id);
}

function order(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}

export function countByStatus(devices: Iterable<DeviceBrief>): Record<DeviceStatus, number> {
  const counts = { ok: 0, unhealthy: 0, unknown: 0, revoked: 0 };
  for (const device of devices) counts[device.status] += 1;
  return counts;
}

/** The sites, tags and groups that there are, by name. */
export function labelsOf(devices: Iterable<DeviceBrief>): Record<"site" | "tag" | "group", string[]> {
  const sites = new Set<string>();
  const tags = new Set<string>();
  const groups = new Set<string>();
  for (const device of devices) {
    if (device.site) sites.add(device.site);
    for (const tag of device.tags ?? []) tags.add(tag);
    for (const group of device.groups ?? []) groups.add(group);
  }
  return { site: [...sites].sort(), tag: [...tags].sort(), group: [...groups].sort() };
}
