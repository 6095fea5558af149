import { beforeEach, expect, test, vi } from "vitest";
import { delay } from "@/live/backoff";
import type { Frame } from "@/live/frame";
import { link } from "@/live/link";
import { session } from "@/session/session";

class Socket {
  static all: Socket[] = [];
  sent: string[] = [];
  onopen = () => {};
  onmessage: (message: { data: string }) => void = () => {};
  onclose: (event: { code: number }) => void = () => {};
  constructor(readonly url: string) {
    Socket.all.push(this);
  }
  send(text: string): void {
    this.sent.push(text);
  }
  close(): void {
    this.onclose({ code: 1000 });
  }
  static last(): Socket {
    const socket = Socket.all.at(-1);
    if (!socket) throw new Error("no socket was opened");
    return socket;
  }
}

const SIGNED_IN = {
  token: "t",
  expires_at: Date.now() / 1000 + 3600,
  username: "admin",
  role: "admin" as const,
  refresh_token: "",
  ends_at: 0,
};

const caughtUp = vi.fn();
link.onCatchUp(caughtUp);
vi.stubGlobal("WebSocket", Socket);
link.run();

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal("fetch", () => Promise.reject(new TypeError("the hub is away")));
  session.end();
  Socket.all = [];
  caughtUp.mockClear();
  session.start(SIGNED_IN);
  welcome();
});

/** What the hub does when it takes the token. */
function welcome(): void {
  Socket.last().onopen();
  Socket.last().onmessage({ data: '[{"topic":"lagged"}]' });
}

test("the token is the first message, and lists are fetched again", () => {
  expect(Socket.last().url).toMatch(/^ws.*\/api\/v1\/live$/);
  expect(Socket.last().sent).toEqual(['{"token":"t"}']);
  expect(link.state).toBe("live");
  expect(caughtUp).toHaveBeenCalledTimes(1);
});

test("a burst of frames is passed on at once and in order", () => {
  const passed = vi.fn<(frames: readonly Frame[]) => void>();
  const stop = link.onFrames(passed);
  for (const topic of ["a", "b", "c"]) Socket.last().onmessage({ data: `[{"topic":"${topic}"}]` });
  vi.runAllTimers();
  stop();
  expect(passed.mock.calls).toEqual([[[{ topic: "a" }, { topic: "b" }, { topic: "c" }]]]);
});

test("after a loss it says so, comes back and catches up", () => {
  Socket.last().onclose({ code: 1012 });
  expect(link.state).toBe("waiting");
  vi.advanceTimersByTime(500); // the longest first pause
  expect(link.state).toBe("waiting");
  welcome();
  expect(Socket.all).toHaveLength(2);
  expect(link.state).toBe("live");
  expect(caughtUp).toHaveBeenCalledTimes(2);
});

test("a reader that lagged catches up", () => {
  Socket.last().onmessage({ data: '[{"topic":"lagged"}]' });
  expect(caughtUp).toHaveBeenCalledTimes(2);
});

test("a session that the hub has ended is not tried again", async () => {
  vi.stubGlobal("fetch", async () => new Response("{}", { status: 401 }));
  Socket.last().onclose({ code: 4401 });
  await vi.runOnlyPendingTimersAsync();
  expect(session.get()).toBeNull();
  expect(Socket.all).toHaveLength(1);
});

test("a link that ended with its token opens again with the next one", async () => {
  vi.stubGlobal("fetch", async () => Response.json({ ...SIGNED_IN, token: "next" }));
  Socket.last().onclose({ code: 4401 });
  // the pause depends on the failures before, and on chance
  await vi.waitFor(() => expect(Socket.all).toHaveLength(2), { timeout: 10_000, interval: 50 });
  welcome();
  expect(Socket.last().sent).toEqual(['{"token":"next"}']);
});

test("pauses grow to fifteen seconds, with full jitter", () => {
  expect([0, 1, 2, 9].map((failures) => delay(failures, () => 1))).toEqual([500, 1000, 2000, 15_000]);
  expect(delay(9, () => 0)).toBe(0);
});
