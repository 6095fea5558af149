/** What the hub says over `/api/v1/live` (`flip_hub.live.Frame`): arrays of frames, one for each changed thing. */
import type { Device, ModelVersion, Rollout, Round, Run } from "@/api/types";

/** Lists that are too long for a frame. */
export type Listing = "actions" | "alerts" | "events" | "gaps" | "late" | "spans";

export type Frame =
  | { topic: "device"; data: Device }
  | { topic: "run"; data: Run }
  | { topic: "round"; data: Round }
  | { topic: "model"; data: ModelVersion }
  | { topic: "rollout"; data: Rollout }
  | { topic: "grew"; data: { of: Listing; id: string } }
  | { topic: "lagged"; topics?: string[] };

/** The list with `item` in place of the one it is a newer state of, or added. */
export function upsert<T>(list: readonly T[], item: T, same: (other: T) => boolean): T[] {
  const index = list.findIndex(same);
  return index === -1 ? [...list, item] : list.with(index, item);
}
