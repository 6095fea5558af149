/** What the keyboard does everywhere but in fields: `/` searches, `g` and a letter goes to a page, Ctrl or Cmd with `k`
 * opens the palette, `?` lists it all. */
import { useNavigate } from "@tanstack/react-router";
import { useEffect } from "react";
import { ACCOUNT, ADMINISTRATION, PAGES, type PageEntry } from "./pages";

/** Milliseconds within which the letter follows the `g`. */
const WITHIN = 1500;

export type Shortcut =
  | { kind: "go"; to: PageEntry["to"] }
  | { kind: "search" }
  | { kind: "palette" }
  | { kind: "help" };

interface Key {
  key: string;
  ctrl: boolean;
  /** In milliseconds. */
  at: number;
}

/** Which keys mean what; it remembers a `g` for a moment. */
export class Shortcuts {
  private went = Number.NEGATIVE_INFINITY;

  press({ key, ctrl, at }: Key): Shortcut | null {
    const going = at - this.went <= WITHIN;
    this.went = Number.NEGATIVE_INFINITY;
    if (ctrl) return key.toLowerCase() === "k" ? { kind: "palette" } : null;
    if (going) {
      const page = [...PAGES, ...ADMINISTRATION, ACCOUNT].find((each) => each.key === key);
      return page ? { kind: "go", to: page.to } : null;
    }
    if (key === "g") this.went = at;
    return key === "/" ? { kind: "search" } : key === "?" ? { kind: "help" } : null;
  }
}

interface Doing {
  openPalette: () => void;
  openHelp: () => void;
}

export function useShortcuts({ openPalette, openHelp }: Doing): void {
  const navigate = useNavigate();
  useEffect(() => {
    const shortcuts = new Shortcuts();
    const press = (event: KeyboardEvent) => {
      const ctrl = event.ctrlKey || event.metaKey;
      if (event.altKey || (!ctrl && isField(event.target))) return;
      const shortcut = shortcuts.press({ key: event.key, ctrl, at: event.timeStamp });
      if (!shortcut) return;
      event.preventDefault();
      if (shortcut.kind === "go") void navigate({ to: shortcut.to });
      else if (shortcut.kind === "palette") openPalette();
      else if (shortcut.kind === "help") openHelp();
      else if (!focusSearch()) openPalette();
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, [navigate, openPalette, openHelp]);
}

/** The page's own search, where it has one. */
function focusSearch(): boolean {
  const field = document.querySelector<HTMLElement>("[data-search]");
  field?.focus();
  return field !== null;
}

function isField(target: EventTarget | null): boolean {
  const element = target instanceof HTMLElement ? target : null;
  return element?.matches("input, textarea, select, [contenteditable]") ?? false;
}
