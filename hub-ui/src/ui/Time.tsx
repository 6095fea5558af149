import { useSyncExternalStore } from "react";
import { ago, clock, moment } from "@/format";

const TICK = 5_000;

/** Seconds since the epoch, taken every five seconds; one timer for all that show it. */
class Clock {
  private now = Date.now() / 1000;
  private timer = 0;
  private readonly listeners = new Set<() => void>();

  get = (): number => this.now;

  subscribe = (listener: () => void): (() => void) => {
    if (this.listeners.size === 0) this.timer = window.setInterval(this.tick, TICK);
    this.listeners.add(listener);
    return () => {
      this.listeners.delete(listener);
      if (this.listeners.size === 0) clearInterval(this.timer);
    };
  };

  private tick = (): void => {
    this.now = Date.now() / 1000;
    for (const listener of this.listeners) listener();
  };
}

const wall = new Clock();

export function useNow(): number {
  return useSyncExternalStore(wall.subscribe, wall.get);
}

export function Ago({ at }: { at: number }) {
  const now = useNow();
  return <TimeElement at={at} text={ago(at, now)} />;
}

export function ClockTime({ at }: { at: number }) {
  const now = useNow();
  return <TimeElement at={at} text={clock(at, now)} />;
}

function TimeElement({ at, text }: { at: number; text: string }) {
  return (
    <time dateTime={new Date(at * 1000).toISOString()} title={moment(at)} className="whitespace-nowrap">
      {text}
    </time>
  );
}
