import type { DeviceEvent, Span } from "@/api/types";
import { brief, tenths } from "@/format";
import { t } from "@/texts/device";

/** The words of an event for people: its text, reason or step; nothing where it has none. */
export function wordsOf(event: DeviceEvent): string {
  if (typeof event.body !== "object" || event.body === null) return "";
  if (event.kind === "spans") return rolloutText((event.body as { spans: Span[] }).spans);
  if (event.kind === "rollback") return rollbackText(event.body as RolledBack);
  if (event.kind === "action") return actionText(event.body as ActionEnded);
  const body = event.body as Record<string, unknown>;
  const words = [body.code, body.title, body.step, body.text, body.reason, body.detail];
  return words.filter((word) => typeof word === "string" && word !== "").join(": ");
}

/** `flip_wire.models.RolledBack`, as far as people read it. */
type RolledBack = { model: string; version: number; to_version: number; reason: string };

function rollbackText({ model, version, to_version, reason }: RolledBack): string {
  return t.device.rolledBack(t.devices.serves(model, version), t.devices.serves(model, to_version), reason);
}

/** `flip_wire.actions.ActionResult`: what came of it in full stands with the action. */
type ActionEnded = { id: string; outcome: "done" | "failed" | "expired" };

function actionText({ id, outcome }: ActionEnded): string {
  return `${id}: ${t.device.actionStates[outcome]}`;
}

function rolloutText([rollout, ...parts]: Span[]): string {
  if (!rollout) return "";
  const version = t.devices.serves(rollout.attributes?.model ?? "", Number(rollout.attributes?.version));
  const told = parts.map(({ name, duration }) => `${t.device.rollout[name] ?? name} ${brief(duration)}`);
  return [version, told.join(", "), rollout.error].filter(Boolean).join(": ");
}

/** What says every half minute how a device is stands on the page already, and a message's spans on its run's. */
export function isNews(event: DeviceEvent): boolean {
  if (event.kind === "spans") return !(event.body as { message_id?: string }).message_id;
  return !["health", "state", "log"].includes(event.kind);
}

/** `offset`: seconds to add to the device's clock to get the hub's. */
export function clockText(offset: number): string {
  const seconds = tenths(Math.abs(offset));
  if (seconds === tenths(0)) return t.device.clockRight;
  return offset > 0 ? t.device.clockBehind(seconds) : t.device.clockAhead(seconds);
}
