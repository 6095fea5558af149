import type { Session, Ways } from "@/api/types";

const AUTH = "/api/v1/auth";
/** Milliseconds before its end that a token is renewed. */
const EARLY = 60_000;
/** Milliseconds until a renewal that the hub did not answer is tried again. */
const AGAIN = 5_000;
/** Milliseconds for which a token is still sent along. */
const BARELY = 5_000;
/** Browsers fire longer timers at once. */
const LONGEST_TIMER = 2 ** 31 - 1;

/**
 * Who is signed in, in this tab. The token is only in its memory; what renews it lies in a cookie that no script can
 * read, so a new tab and a reload go on where the browser is signed in. It ends when the hub says so, or by signing out.
 */
class SessionStore {
  private current: Session | null = null;
  private renewing: Promise<boolean> | null = null;
  private timer = 0;
  private readonly listeners = new Set<() => void>();

  get = (): Session | null => this.current;

  start(session: Session): void {
    this.set(session);
  }

  end(): void {
    if (this.current) this.set(null);
  }

  /** As a page begins: says how one gets in here, and goes on with what the browser is signed in to. */
  async resume(): Promise<Ways | null> {
    const ways = await ask("GET", "/ways");
    if (!ways?.ok) return null;
    const said = (await ways.json()) as Ways;
    if (said.session) await this.renew();
    return said;
  }

  /** A token that the hub still takes, renewed before if need be; none when nobody is signed in. */
  async token(): Promise<string | undefined> {
    if (this.current && remaining(this.current) < BARELY) await this.renew();
    return this.current?.token;
  }

  /** Whether there is a new token; a refusal ends the session, silence of the hub does not. */
  renew(): Promise<boolean> {
    this.renewing ??= this.exchange().finally(() => {
      this.renewing = null;
    });
    return this.renewing;
  }

  /** For a change that ends this session and begins another: nothing is renewed, and nobody signed out, meanwhile. */
  async replace(change: () => Promise<Session>): Promise<void> {
    await this.token(); // the change shall not have to renew it
    const changing = change().then((session) => this.set(session));
    const over = changing
      .then(
        () => true,
        () => false,
      )
      .finally(() => {
        this.renewing = null;
      });
    this.renewing = over;
    await changing;
  }

  /** The hub has refused this token; one that was replaced meanwhile says nothing. */
  refused(token: string): void {
    if (!this.renewing && this.current?.token === token) this.end();
  }

  async signOut(): Promise<void> {
    this.end();
    await ask("POST", "/logout");
  }

  subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  private async exchange(): Promise<boolean> {
    const before = this.current;
    const answer = await ask("POST", "/refresh");
    if (this.current !== before) return false; // signed out or in meanwhile
    if (answer?.ok) this.set((await answer.json()) as Session);
    else if (answer?.status === 401 || answer?.status === 403) this.end();
    else this.renewIn(AGAIN);
    return answer?.ok ?? false;
  }

  private renewIn(milliseconds: number): void {
    clearTimeout(this.timer);
    if (this.current)
      this.timer = window.setTimeout(() => void this.renew(), Math.min(milliseconds, LONGEST_TIMER));
  }

  private set(session: Session | null): void {
    const changed = session?.username !== this.current?.username;
    this.current = session;
    clearTimeout(this.timer);
    if (session) this.renewIn(Math.max(remaining(session) - EARLY, remaining(session) / 2));
    if (changed) for (const listener of this.listeners) listener();
  }
}

function remaining(session: Session): number {
  return session.expires_at * 1000 - Date.now();
}

/** None when the hub does not answer. The header tells the hub that no other site has the browser ask. */
async function ask(method: string, path: string): Promise<Response | null> {
  const headers = { "Flip-Console": "1", "Content-Type": "application/json" };
  try {
    return await fetch(AUTH + path, { method, headers, body: method === "GET" ? null : "{}" });
  } catch {
    return null;
  }
}

export const session = new SessionStore();
