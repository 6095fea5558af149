/** Dark or light: the system's choice until the reader makes one, which this browser then keeps. */
export type Theme = "system" | "light" | "dark";

const KEY = "flip.theme";
const THEMES: readonly Theme[] = ["system", "light", "dark"];

class ThemeStore {
  private readonly listeners = new Set<() => void>();

  get = (): Theme => THEMES.find((theme) => theme === localStorage.getItem(KEY)) ?? "system";

  choose(theme: Theme): void {
    localStorage.setItem(KEY, theme);
    this.apply();
    for (const listener of this.listeners) listener();
  }

  next(): void {
    this.choose(THEMES[(THEMES.indexOf(this.get()) + 1) % THEMES.length] ?? "system");
  }

  apply(): void {
    const theme = this.get();
    if (theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
  }

  /** Calls when the colours change, by choice or by the system. */
  subscribe = (listener: () => void): (() => void) => {
    const system = matchMedia("(prefers-color-scheme: dark)");
    this.listeners.add(listener);
    system.addEventListener("change", listener);
    return () => {
      this.listeners.delete(listener);
      system.removeEventListener("change", listener);
    };
  };
}

export const theme = new ThemeStore();
