/** Every device in a few words: what maps, counts and the names on other pages are made of. */
import { useQuery } from "@tanstack/react-query";
import { answered, hub } from "@/api/client";
import type { Device, DeviceBrief, Severity } from "@/api/types";
import type { Frame } from "@/live/frame";
import { burstQuery } from "@/live/query";

export type Fleet = ReadonlyMap<string, DeviceBrief>;

export const fleetQuery = burstQuery<Fleet>(
  ["fleet"],
  async (signal) => {
    const briefs: DeviceBrief[] = await answered(hub.GET("/api/v1/fleet", { signal }));
    return new Map(briefs.map((brief) => [brief.id, brief]));
  },
  withDevices,
);

/** A device's name by its id; the id itself where no such device is known. */
export function useDeviceNames(): (id: string) => string {
  const { data } = useQuery(fleetQuery);
  return (id) => data?.get(id)?.name ?? id;
}

const SEVERITIES: readonly Severity[] = ["info", "warning", "critical"];

/** The same map when nothing that it holds has changed: most frames only say that a device was heard. */
export function withDevices(fleet: Fleet, frames: readonly Frame[]): Fleet {
  let after: Map<string, DeviceBrief> | null = null;
  for (const frame of frames) {
    if (frame.topic !== "device") continue;
    const brief = briefOf(frame.data);
    const before = (after ?? fleet).get(brief.id);
    if (before && JSON.stringify(before) === JSON.stringify(brief)) continue;
    after ??= new Map(fleet);
    after.set(brief.id, brief);
  }
  return after ?? fleet;
}

/** As the hub makes them: what is as it mostly is, is left out. */
export function briefOf(device: Device): DeviceBrief {
  const { reported, health } = device;
  const worst = Math.max(
    -1,
    ...(health?.conditions ?? []).map(({ severity }) => SEVERITIES.indexOf(severity)),
  );
  const severity = SEVERITIES[worst];
  const serving = (reported?.serving ?? []).map(({ model, version }) => `${model}@${version}`);
  return {
    id: device.id,
    name: device.name,
    status: device.status,
    enrolled_at: device.enrolled_at,
    ...(severity && { severity }),
    ...(device.unknown_since !== null && { unknown_since: device.unknown_since }),
    ...(device.site && { site: device.site }),
    ...(device.tags.length > 0 && { tags: device.tags }),
    ...(device.groups.length > 0 && { groups: device.groups }),
    ...(serving.length > 0 && { serving }),
    ...(reported?.training && { training: reported.training }),
    ...(health?.outbox_depth && { backlog: health.outbox_depth }),
    ...(health?.outbox_oldest != null && { oldest: health.outbox_oldest }),
    ...(device.events_dropped > 0 && { dropped: device.events_dropped }),
  };
}
