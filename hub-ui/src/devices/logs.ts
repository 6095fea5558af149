/** Lines of a device's logs, which it sends as events of the kind `log` while somebody follows them. */
import type { DeviceAction, DeviceEvent } from "@/api/types";
import { ask } from "./operations";

export interface LogLine {
  key: string;
  text: string;
}

/** `flip_wire.telemetry.LogLines`. */
interface Body {
  source?: string;
  lines?: string[];
}

/** In the order in which they were written; the hub gives the newest event first. */
export function linesOf(events: readonly DeviceEvent[]): LogLine[] {
  return events.toReversed().flatMap(({ epoch, seq, body }) => {
    const { source = "", lines = [] } = body as Body;
    return lines.map((line, index) => ({
      key: `${epoch} ${seq} ${index}`,
      text: source ? `${source}  ${line}` : line,
    }));
  });
}

export function followLogs(id: string): Promise<DeviceAction> {
  return ask(id, { kind: "follow-logs", lifetime: 300 });
}
