import { session } from "@/session/session";
import { delay } from "./backoff";
import type { Frame } from "./frame";

export type LinkState = "connecting" | "live" | "waiting";

const PATH = "/api/v1/live";
/** The hub closes with these when the token is refused or has expired. */
const REFUSED = new Set([1008, 4401]);
/** Frames of this many milliseconds are applied at once: one rendering for a burst of them. */
const GATHER = 40;
/** A link that held this many milliseconds was a good one: the pauses start small again. */
const GOOD = 10_000;

/**
 * The tab's one WebSocket to the hub. It opens while somebody is signed in, comes back by itself with growing pauses,
 * and says `onCatchUp` whenever the hub says that frames may have been missed: first of all, and after a jam.
 */
class Link {
  state: LinkState = "connecting";
  private socket: WebSocket | null = null;
  private timer = 0;
  /** With which it was opened. */
  private token = "";
  private failures = 0;
  private openedAt = Number.POSITIVE_INFINITY;
  private gathered: Frame[] = [];
  private readonly stateListeners = new Set<() => void>();
  private readonly frameListeners = new Set<(frames: readonly Frame[]) => void>();
  private readonly catchUpListeners = new Set<() => void>();

  /** Follows the session from now on. */
  run(): void {
    session.subscribe(() => (session.get() ? this.open() : this.close()));
    window.addEventListener("online", () => this.open());
    window.addEventListener("offline", () => this.socket?.close());
    this.open();
  }

  onState = (listener: () => void): (() => void) => listen(this.stateListeners, listener);
  onFrames = (listener: (frames: readonly Frame[]) => void): (() => void) =>
    listen(this.frameListeners, listener);
  onCatchUp = (listener: () => void): (() => void) => listen(this.catchUpListeners, listener);

  private open(): void {
    const token = session.get()?.token;
    if (!token || this.socket) return;
    clearTimeout(this.timer);
    this.token = token;
    const socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}${PATH}`);
    this.socket = socket;
    socket.onopen = () => {
      socket.send(JSON.stringify({ token }));
      this.openedAt = Date.now();
    };
    socket.onmessage = (message) => {
      for (const frame of JSON.parse(String(message.data)) as Frame[]) this.take(frame);
    };
    socket.onclose = (event) => this.closed(socket, event.code);
  }

  private close(): void {
    clearTimeout(this.timer);
    const socket = this.socket;
    this.socket = null;
    socket?.close();
    this.become("connecting");
  }

  private closed(socket: WebSocket, code: number): void {
    if (socket !== this.socket) return;
    this.socket = null;
    if (Date.now() - this.openedAt > GOOD) this.failures = 0;
    this.openedAt = Number.POSITIVE_INFINITY;
    if (REFUSED.has(code)) void this.openWithNewToken();
    else this.openLater();
  }

  /** A token is short-lived and the link ends with it; who is signed in goes on with the next one. */
  private async openWithNewToken(): Promise<void> {
    const renewed = session.get()?.token !== this.token || (await session.renew());
    if (renewed && this.failures++ === 0) this.open();
    else if (session.get()) this.openLater();
  }

  private openLater(): void {
    this.become("waiting");
    this.timer = window.setTimeout(() => this.open(), delay(this.failures++));
  }

  private take(frame: Frame): void {
    if (frame.topic === "lagged") {
      this.become("live");
      this.catchUp();
      return;
    }
    if (this.gathered.length === 0) setTimeout(() => this.pass(), GATHER);
    this.gathered.push(frame);
  }

  private pass(): void {
    const frames = this.gathered;
    this.gathered = [];
    for (const listener of this.frameListeners) listener(frames);
  }

  private catchUp(): void {
    for (const listener of this.catchUpListeners) listener();
  }

  private become(state: LinkState): void {
    this.state = state;
    for (const listener of this.stateListeners) listener();
  }
}

function listen<T>(listeners: Set<T>, listener: T): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export const link = new Link();
