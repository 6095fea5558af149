import type { DeviceEvent } from "@/api/types";

/** The words of an event for people: its text, reason or step; nothing where it has none. */
export function wordsOf(event: DeviceEvent): string {
  if (typeof event.body !== "object" || event.body === null) return "";
  const body = event.body as Record<string, unknown>;
  const words = [body.code, body.title, body.step, body.text, body.reason, body.detail];
  return words.filter((word) => typeof word === "string" && word !== "").join(": ");
}

/** Events that say how a device is every half minute are on the page already. */
export function isNews(event: DeviceEvent): boolean {
  return event.kind !== "health" && event.kind !== "state";
}

/** "+0.3", "-12.0": seconds. */
export function signed(seconds: number): string {
  return `${seconds < 0 ? "-" : "+"}${Math.abs(seconds).toFixed(1)}`;
}
