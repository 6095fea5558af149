import { describe, expect, it } from "vitest";
import { everything, nextCursor, type PageQuery } from "@/api/client";

const next = (cursor: string) => `</api/v1/devices?limit=1000&cursor=${cursor}>; rel="next"`;

describe("lists in pages", () => {
  it("are walked to their end", async () => {
    const asked: PageQuery[] = [];
    const pages = new Map<string | undefined, [string[], string?]>([
      [undefined, [["a", "b"], "one"]],
      ["one", [["c"], "two"]],
      ["two", [["d"]]],
    ]);
    const found = await everything(async (query) => {
      asked.push(query);
      const [data, cursor] = pages.get(query.cursor) ?? [[]];
      return { data, response: new Response(null, { headers: cursor ? { Link: next(cursor) } : {} }) };
    });
    expect(found).toEqual(["a", "b", "c", "d"]);
    expect(asked.map((query) => query.cursor)).toEqual([undefined, "one", "two"]);
  });

  it("end where no next page is named", () => {
    expect(nextCursor(null)).toBeUndefined();
    expect(nextCursor('</api/v1/devices?cursor=x>; rel="prev"')).toBeUndefined();
    expect(nextCursor(next("a%2Db"))).toBe("a-b");
  });
});
