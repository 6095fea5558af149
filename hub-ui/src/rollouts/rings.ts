/** What a page says of rings; without React. */
import type { RingDevice, RingProgress, Standing } from "@/api/types";
import { t } from "@/texts/rollouts";

const percent = new Intl.NumberFormat(globalThis.navigator?.languages ?? ["en"], {
  style: "percent",
  maximumFractionDigits: 1,
});

export function share(value: number): string {
  return percent.format(value);
}

export function openRings(rings: readonly RingProgress[]): RingProgress[] {
  return rings.filter((ring) => ring.state !== "pending");
}

/** Devices that serve the version. */
export function serving(rings: readonly RingProgress[]): number {
  return rings.reduce((sum, { counts }) => sum + (counts?.serving ?? 0), 0);
}

/** Whom a ring names, in words. */
export function whom({ ring }: RingProgress): string {
  const named = [...(ring.tags ?? []).map(t.rollout.tag), ...(ring.sites ?? []).map(t.rollout.site)].join(
    ", ",
  );
  if (ring.share === 1) return named || t.rollout.everybody;
  return named ? t.rollout.shareOf(share(ring.share), named) : t.rollout.share(share(ring.share));
}

/** When its soak is over; null while it has not begun, or the ring is not open. */
export function watchedUntil({ ring, state, soaking_since }: RingProgress): number | null {
  return state === "open" && soaking_since != null ? soaking_since + ring.soak : null;
}

const FIRST: readonly Standing[] = ["rolled back", "refused", "silent", "bringing", "serving", "waiting"];

/** Those that need a look first, each kind by name as the hub lists them. */
export function troubledFirst(devices: readonly RingDevice[]): RingDevice[] {
  return [...devices].sort((one, other) => FIRST.indexOf(one.standing) - FIRST.indexOf(other.standing));
}
