import { beforeEach, expect, test, vi } from "vitest";
import { session } from "@/session/session";

const asked: string[] = [];
let answers: (() => Response)[] = [];

function signedIn(token: string, lasts = 900) {
  const expires_at = Date.now() / 1000 + lasts;
  return { token, expires_at, username: "ada", role: "admin" as const, refresh_token: "", ends_at: 0 };
}

beforeEach(() => {
  vi.useFakeTimers();
  session.end();
  asked.length = 0;
  vi.stubGlobal("fetch", async (path: string) => {
    asked.push(path);
    const answer = answers.shift();
    if (!answer) throw new TypeError("the hub is away");
    return answer();
  });
});

test("a page goes on with what the browser is signed in to", async () => {
  answers = [
    () => Response.json({ setup: false, session: true, oidc: "" }),
    () => Response.json(signedIn("a")),
  ];
  await session.resume();
  expect(session.get()?.token).toBe("a");
  expect(asked).toEqual(["/api/v1/auth/ways", "/api/v1/auth/refresh"]);
});

test("without a cookie nothing is renewed", async () => {
  answers = [() => Response.json({ setup: true, session: false, oidc: "" })];
  expect((await session.resume())?.setup).toBe(true);
  expect(asked).toHaveLength(1);
});

test("a token is renewed before its end, and nobody is told of it", async () => {
  session.start(signedIn("a"));
  const told = vi.fn();
  const stop = session.subscribe(told);
  answers = [() => Response.json(signedIn("b"))];
  await vi.advanceTimersByTimeAsync(850_000);
  stop();
  expect(session.get()?.token).toBe("b");
  expect(told).not.toHaveBeenCalled();
});

test("a hub that does not answer ends no session, one that refuses does", async () => {
  session.start(signedIn("a"));
  answers = [];
  await vi.advanceTimersByTimeAsync(850_000);
  expect(session.get()?.token).toBe("a");
  answers = [() => new Response("{}", { status: 401 })];
  await vi.advanceTimersByTimeAsync(5_000);
  expect(session.get()).toBeNull();
});

test("a token that is over is renewed before a call, once for many calls", async () => {
  session.start(signedIn("a", 1));
  answers = [() => Response.json(signedIn("b"))];
  expect(await Promise.all([session.token(), session.token()])).toEqual(["b", "b"]);
  expect(asked).toHaveLength(1);
});

test("a change that begins another session keeps whoever is signed in so, whatever is refused meanwhile", async () => {
  session.start(signedIn("a"));
  let answer = (_: ReturnType<typeof signedIn>) => {};
  const changing = session.replace(() => new Promise((resolve) => (answer = resolve)));
  await vi.advanceTimersByTimeAsync(0);
  session.refused("a");
  const renewed = session.renew();
  answer(signedIn("b"));
  await changing;
  expect(await renewed).toBe(true);
  expect(session.get()?.token).toBe("b");
  expect(asked).toEqual([]);
  session.refused("a");
  expect(session.get()?.token).toBe("b");
});
