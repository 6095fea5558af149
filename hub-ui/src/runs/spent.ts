/** Where the time of each message went on each device, from the spans that the devices sent. */
import type { MessageSpans } from "@/api/types";

/** In the order in which they come. */
export const PARTS = ["receive", "wait", "train", "deliver", "settle"] as const;
export type Part = (typeof PARTS)[number];

export interface Spent {
  message: string;
  device: string;
  /** Seconds; a part that the device could not measure is not there. */
  parts: Partial<Record<Part, number>>;
  total: number;
  /** What became of the message; empty where its machine was restarted meanwhile. */
  fate: string;
  interrupted: boolean;
  error: string;
}

/** What devices are asked for at one time. */
export interface Work {
  round: number;
  phase: string;
}

export function nameOf({ round, phase }: Work): string {
  return `${round} ${phase}`;
}

/** Of which there are spans, newest first; of a round's the training first. */
export function worksOf(messages: readonly MessageSpans[]): Work[] {
  const works = new Map(messages.map(({ round, phase }) => [nameOf({ round, phase }), { round, phase }]));
  return [...works.values()].sort(
    (one, other) => other.round - one.round || other.phase.localeCompare(one.phase),
  );
}

/** Of each device that took part, the slowest first. */
export function spentOn(messages: readonly MessageSpans[], { round, phase }: Work): Spent[] {
  return messages
    .filter((message) => message.round === round && message.phase === phase)
    .map(spentOf)
    .sort((one, other) => other.total - one.total);
}

function spentOf({ message_id, device_id, spans }: MessageSpans): Spent {
  const root = spans.find((span) => !span.parent_id);
  const parts: Spent["parts"] = {};
  for (const part of PARTS) {
    const span = spans.find((each) => each.name === part);
    if (!span) continue;
    const paused = Math.min(Number(span.attributes?.paused ?? 0) || 0, span.duration);
    parts[part] = span.duration - paused;
    if (paused > 0) parts.wait = (parts.wait ?? 0) + paused;
  }
  const error = spans.find((span) => span.error)?.error ?? "";
  const fate = root?.attributes?.fate ?? "";
  return {
    message: message_id,
    device: device_id,
    parts,
    total: Object.values(parts).reduce((sum, seconds) => sum + seconds, 0),
    fate: error && fate === "delivered" ? "failed" : fate, // what was delivered says why there is no result
    interrupted: !root || spans.some((span) => span.attributes?.interrupted !== undefined),
    error,
  };
}
