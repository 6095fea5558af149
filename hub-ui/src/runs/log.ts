/** A run's log as it is written: server-sent events, read with `fetch`, for an `EventSource` cannot sign its request. */
import { useEffect, useState } from "react";
import { problemOf } from "@/api/problem";
import { delay } from "@/live/backoff";
import { session } from "@/session/session";

export interface LogEvent {
  id: string;
  event: string;
  data: string;
}

/** Takes text as it comes, and gives the events that are whole. */
export class EventReader {
  private rest = "";

  take(chunk: string): LogEvent[] {
    const parts = (this.rest + chunk.replaceAll("\r\n", "\n")).split("\n\n");
    this.rest = parts.pop() ?? "";
    return parts.map(eventOf);
  }
}

function eventOf(text: string): LogEvent {
  const event: LogEvent = { id: "", event: "message", data: "" };
  const data: string[] = [];
  for (const line of text.split("\n")) {
    const at = line.indexOf(":");
    const [name, value] = at === -1 ? [line, ""] : [line.slice(0, at), line.slice(at + 1).replace(/^ /, "")];
    if (name === "data") data.push(value);
    else if (name === "id" || name === "event") event[name] = value;
  }
  return { ...event, data: data.join("\n") };
}

/** Characters that are kept: of a long log the end. */
const LONGEST = 400_000;

export interface Log {
  text: string;
  state: "connecting" | "following" | "ended";
  error: unknown;
}

/** Goes on after the last event when the connection was cut. */
export function useRunLog(runId: string): Log {
  const [log, setLog] = useState<Log>({ text: "", state: "connecting", error: null });
  useEffect(() => {
    const stop = new AbortController();
    void follow(runId, stop.signal, setLog);
    return () => stop.abort();
  }, [runId]);
  return log;
}

async function follow(
  runId: string,
  signal: AbortSignal,
  set: (change: (log: Log) => Log) => void,
): Promise<void> {
  let last = "";
  for (let failures = 0; !signal.aborted; failures += 1) {
    try {
      for await (const { id, event, data } of events(runId, last, signal)) {
        last = id || last;
        failures = 0;
        if (event === "end") return set((log) => ({ ...log, state: "ended" }));
        set((log) => ({ text: (log.text + data).slice(-LONGEST), state: "following", error: null }));
      }
    } catch (error) {
      if (signal.aborted) return;
      set((log) => ({ ...log, state: "connecting", error }));
    }
    await new Promise((resolve) => setTimeout(resolve, delay(failures)));
  }
}

async function* events(runId: string, last: string, signal: AbortSignal): AsyncGenerator<LogEvent> {
  const headers = {
    Accept: "text/event-stream",
    Authorization: `Bearer ${await session.token()}`,
    ...(last && { "Last-Event-ID": last }),
  };
  const answer = await fetch(`/api/v1/runs/${encodeURIComponent(runId)}/logs`, { headers, signal });
  if (!answer.ok || !answer.body) throw await problemOf(answer);
  const reader = new EventReader();
  const stream = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let read = await stream.read(); !read.done; read = await stream.read()) yield* reader.take(read.value);
}
