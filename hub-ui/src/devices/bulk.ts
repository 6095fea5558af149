/** The same for many devices: some at a time, each by itself, and what came of it counted; without React. */
import { asProblem } from "@/api/problem";

const AT_A_TIME = 6;

export interface Progress {
  total: number;
  done: number;
  /** In the hub's words, with the ids of those that it was said of. */
  refused: ReadonlyMap<string, readonly string[]>;
}

/** Goes on after a refusal: what can be done is done. Says how far it is after each. */
export async function forEachOf(
  ids: readonly string[],
  act: (id: string) => Promise<unknown>,
  tell: (progress: Progress) => void,
): Promise<Progress> {
  const waiting = [...ids];
  let progress: Progress = { total: ids.length, done: 0, refused: new Map() };
  const work = async () => {
    for (let id = waiting.shift(); id !== undefined; id = waiting.shift()) {
      const why = await act(id).then(
        () => "",
        (error: unknown) => asProblem(error).detail,
      );
      progress = after(progress, id, why);
      tell(progress);
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, work));
  return progress;
}

function after({ total, done, refused }: Progress, id: string, why: string): Progress {
  if (!why) return { total, done: done + 1, refused };
  return { total, done, refused: new Map(refused).set(why, [...(refused.get(why) ?? []), id]) };
}
