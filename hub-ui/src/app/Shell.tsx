import { Outlet, useRouterState } from "@tanstack/react-router";
import { lazy, Suspense, useCallback, useEffect, useRef, useState } from "react";
import { t } from "@/texts";
import { Header } from "./Header";
import { Navigation } from "./Navigation";
import { useShortcuts } from "./shortcuts";

const Palette = lazy(() => import("@/palette/Palette").then((module) => ({ default: module.Palette })));
const Help = lazy(() => import("@/palette/Help").then((module) => ({ default: module.Help })));

/** Everything around a page: skip link, header, navigation at the left or, on a narrow screen, behind a button. */
export function Shell() {
  const [menuOpen, setMenuOpen] = useState(false);
  const [over, setOver] = useState<"palette" | "help" | null>(null);
  const openPalette = useCallback(() => setOver("palette"), []);
  const openHelp = useCallback(() => setOver("help"), []);
  useShortcuts({ openPalette, openHelp });
  const main = useRef<HTMLElement>(null);
  const path = useRouterState({ select: (state) => state.resolvedLocation?.pathname });
  const shown = useRef(path);

  useEffect(() => {
    setMenuOpen(false);
    // a new page is announced by moving focus to it; the first one keeps the browser's own start
    if (shown.current !== undefined && shown.current !== path) main.current?.focus({ preventScroll: true });
    shown.current = path;
  }, [path]);

  return (
    <div className="min-h-dvh md:grid md:grid-cols-[13.5rem_minmax(0,1fr)] md:grid-rows-[auto_minmax(0,1fr)]">
      <a
        href="#main"
        className="sr-only focus:not-sr-only focus:fixed focus:top-2 focus:left-2 focus:z-50 focus:rounded-md focus:bg-surface focus:px-3 focus:py-2"
      >
        {t.skip}
      </a>
      <Header menuOpen={menuOpen} onMenu={() => setMenuOpen(!menuOpen)} onPalette={openPalette} />
      <Navigation open={menuOpen} />
      <main
        id="main"
        ref={main}
        tabIndex={-1}
        className="mx-auto w-full max-w-[88rem] px-4 pt-5 pb-16 outline-none md:px-8 md:pt-7"
      >
        <Outlet />
      </main>
      <Suspense>
        {over === "palette" && <Palette close={() => setOver(null)} openHelp={openHelp} />}
        {over === "help" && <Help close={() => setOver(null)} />}
      </Suspense>
    </div>
  );
}
