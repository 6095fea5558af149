/** Lines of a device's logs, which it sends as events of the kind `log` while somebody follows them. */
import type { DeviceAction, DeviceEvent } from "@/api/types";
import { count } from "@/format";
import { t } from "@/texts/device";
import { ask } from "./operations";

/** `flip_wire.telemetry.LogLines`. */
interface Body {
  source?: string;
  lines?: string[];
  left_out?: number;
}

/** In the order in which they were written; the hub gives the newest event first. */
export function linesOf(events: readonly DeviceEvent[]): string[] {
  return events.toReversed().flatMap(({ body }) => {
    const { source = "", lines = [], left_out = 0 } = body as Body;
    const told = left_out > 0 ? [...lines, t.device.leftOut(count(left_out))] : lines;
    return told.map((line) => (source ? `${source}  ${line}` : line));
  });
}

export function followLogs(id: string): Promise<DeviceAction> {
  return ask(id, { kind: "follow-logs", lifetime: 300 });
}
