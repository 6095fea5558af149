import type { DeviceEvent } from "@/api/types";
import { t } from "@/texts";

/** The words of an event for people: its text, reason or step; nothing where it has none. */
export function wordsOf(event: DeviceEvent): string {
  if (typeof event.body !== "object" || event.body === null) return "";
  const body = event.body as Record<string, unknown>;
  const words = [body.code, body.title, body.step, body.text, body.reason, body.detail];
  return words.filter((word) => typeof word === "string" && word !== "").join(": ");
}

/** Events that say how a device is every half minute are on the page already, and spans are on their run's. */
export function isNews(event: DeviceEvent): boolean {
  return event.kind !== "health" && event.kind !== "state" && event.kind !== "spans";
}

/** `offset`: seconds to add to the device's clock to get the hub's. */
export function clockText(offset: number): string {
  const seconds = Math.abs(offset).toFixed(1);
  if (seconds === "0.0") return t.device.clockRight;
  return offset > 0 ? t.device.clockBehind(seconds) : t.device.clockAhead(seconds);
}
