/** What is in the form becomes a request, and the hub's refusal becomes a word at a field; without React. */
import type { RunRequest } from "@/api/types";
import { t } from "@/texts/start";
import { type Field, ON, type Values } from "./fields";

type Tree = { [key: string]: unknown };

/** What is wrong before the hub is asked, by path. */
export function wrongIn(fields: readonly Field[], values: Values): Record<string, string> {
  const wrong: Record<string, string> = {};
  for (const { path, kind, required } of fields) {
    const value = (values[path] ?? "").trim();
    if (!value) {
      if (required) wrong[path] = t.start.needed;
    } else if (kind === "int" && !/^[+-]?\d+$/.test(value)) wrong[path] = t.start.notWhole;
    else if (kind === "int" && !Number.isSafeInteger(Number(value))) wrong[path] = t.start.tooLarge;
    else if (kind === "float" && !Number.isFinite(Number(value))) wrong[path] = t.start.notNumber;
  }
  return wrong;
}

/** Only what is said; the hub knows its defaults. The fields are checked before. */
export function requestOf(fields: readonly Field[], values: Values): RunRequest {
  const request: Tree = {};
  for (const field of fields) {
    const value = field.unsent ? undefined : said(field, (values[field.path] ?? "").trim());
    if (value !== undefined) put(request, keysOf(field.path), value);
  }
  return request as unknown as RunRequest; // the hub checks it, and names what is wrong
}

function said({ kind, path, fallback, choices }: Field, text: string): unknown {
  switch (kind) {
    case "bool":
      return text === "" || text === fallback ? undefined : text === ON;
    case "group":
      return text === ON ? {} : undefined;
    case "list": {
      const names = text.split(",").map((name) => name.trim());
      return text ? names.filter(Boolean) : undefined;
    }
    case "int":
    case "float":
      return text ? Number(text) : undefined;
    case "choice": {
      const ofOption = path.startsWith("plan.options.") && choices !== undefined;
      return text ? (ofOption ? Number(text) : text) : undefined;
    }
    default:
      return text || undefined;
  }
}

/** A key of the app's configuration may have dots of its own. */
function keysOf(path: string): string[] {
  return path.startsWith("config.") ? ["config", path.slice("config.".length)] : path.split(".");
}

function put(tree: Tree, keys: readonly string[], value: unknown): void {
  const last = keys.length - 1;
  let branch = tree;
  for (const key of keys.slice(0, last)) {
    branch[key] ??= {};
    branch = branch[key] as Tree;
  }
  branch[keys[last] as string] = value;
}

/** The field that a refusal names; undefined when it names none that is asked. */
export function fieldNamed(detail: string, fields: readonly Field[]): string | undefined {
  const paths = fields.map((field) => field.path);
  const [, at = ""] = detail.match(/(?:^|[`$.\s])(plan(?:\.\w+)*|promote|metric)\b/) ?? [];
  const [, missing] = detail.match(/missing required field `(\w+)`/) ?? [];
  const named = missing && at ? `${at}.${missing}` : at;
  return (
    paths.find((path) => path.startsWith("config.") && mentions(detail, path.slice("config.".length))) ??
    (named
      ? (paths.find((path) => path === named) ?? paths.find((path) => path.startsWith(`${named}.`)))
      : undefined)
  );
}

/** `num-server-rounds is 0`, `rate is 'x'`, `rate needs more than 64 bits`. */
function mentions(detail: string, key: string): boolean {
  return detail.startsWith(`${key} is `) || detail.startsWith(`${key} needs `);
}
