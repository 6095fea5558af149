import type { Device, DeviceStatus } from "@/api/types";

export const STATUSES: readonly DeviceStatus[] = ["ok", "unhealthy", "unknown", "revoked"];

/** Which devices to show; it lives in the URL, so that a view can be kept and passed on. */
export interface DeviceFilter {
  q?: string;
  status?: DeviceStatus;
}

export function deviceFilter(search: Record<string, unknown>): DeviceFilter {
  const status = STATUSES.find((known) => known === search.status);
  return {
    ...(search.q !== undefined && search.q !== "" && { q: String(search.q) }),
    ...(status && { status }),
  };
}

/** Those whose name, id or served model holds what was typed: by name, revoked ones last. */
export function matching(devices: readonly Device[], filter: DeviceFilter): Device[] {
  const wanted = (filter.q ?? "").trim().toLowerCase();
  return devices
    .filter((device) => !filter.status || device.status === filter.status)
    .filter((device) => !wanted || searchable(device).includes(wanted))
    .sort(
      (one, other) =>
        Number(one.status === "revoked") - Number(other.status === "revoked") ||
        one.name.localeCompare(other.name),
    );
}

export function countByStatus(devices: readonly Device[]): Record<DeviceStatus, number> {
  const counts = { ok: 0, unhealthy: 0, unknown: 0, revoked: 0 };
  for (const device of devices) counts[device.status] += 1;
  return counts;
}

function searchable(device: Device): string {
  const models = (device.reported?.serving ?? []).map(({ model, version }) => `${model}@${version}`);
  return [device.name, device.id, ...models].join(" ").toLowerCase();
}
