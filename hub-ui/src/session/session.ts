import type { Session } from "@/api/types";

const KEY = "flip.session";
/** Browsers fire longer timers at once. */
const LONGEST_TIMER = 2 ** 31 - 1;

/** Who is signed in, in this tab; it ends at `expires_at`, at a refusal by the hub, or by signing out. */
class SessionStore {
  private current: Session | null = null;
  private timer = 0;
  private readonly listeners = new Set<() => void>();

  constructor() {
    const kept = read();
    if (kept && remaining(kept) > 0) this.set(kept);
  }

  get = (): Session | null => this.current;

  start(session: Session): void {
    this.set(session);
  }

  end(): void {
    if (this.current) this.set(null);
  }

  subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  private set(session: Session | null): void {
    this.current = session;
    clearTimeout(this.timer);
    if (session)
      this.timer = window.setTimeout(() => this.end(), Math.min(remaining(session), LONGEST_TIMER));
    if (session) sessionStorage.setItem(KEY, JSON.stringify(session));
    else sessionStorage.removeItem(KEY);
    for (const listener of this.listeners) listener();
  }
}

function remaining(session: Session): number {
  return session.expires_at * 1000 - Date.now();
}

function read(): Session | null {
  try {
    return JSON.parse(sessionStorage.getItem(KEY) ?? "null") as Session | null;
  } catch {
    return null;
  }
}

export const session = new SessionStore();
