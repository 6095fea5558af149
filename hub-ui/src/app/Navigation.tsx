import { Link } from "@tanstack/react-router";
import { BellRing, Boxes, Cpu, LayoutDashboard, type LucideIcon, Waypoints } from "lucide-react";
import { t } from "@/texts";

const PAGES: readonly {
  to: "/" | "/devices" | "/runs" | "/models" | "/alerts";
  label: string;
  icon: LucideIcon;
}[] = [
  { to: "/", label: t.nav.overview, icon: LayoutDashboard },
  { to: "/devices", label: t.nav.devices, icon: Cpu },
  { to: "/runs", label: t.nav.runs, icon: Waypoints },
  { to: "/models", label: t.nav.models, icon: Boxes },
  { to: "/alerts", label: t.nav.alerts, icon: BellRing },
];

export const NAVIGATION = "navigation";

export function Navigation({ open }: { open: boolean }) {
  return (
    <div
      id={NAVIGATION}
      className={`${open ? "" : "hidden"} border-line border-b bg-surface p-3 md:sticky md:top-0 md:row-span-2 md:row-start-1 md:block md:h-dvh md:border-r md:border-b-0 md:pt-0`}
    >
      <Brand className="hidden h-14 px-2 md:flex" />
      <nav aria-label={t.nav.label}>
        <ul className="space-y-0.5">
          {PAGES.map(({ to, label, icon: Icon }) => (
            <li key={to}>
              <Link
                to={to}
                className="flex items-center gap-2.5 rounded-md px-2.5 py-2 text-muted hover:bg-raised hover:text-ink aria-[current=page]:bg-accent-soft aria-[current=page]:font-medium aria-[current=page]:text-accent"
              >
                <Icon aria-hidden className="size-4.5" strokeWidth={1.75} />
                {label}
              </Link>
            </li>
          ))}
        </ul>
      </nav>
    </div>
  );
}

export function Brand({ className }: { className: string }) {
  return (
    <div className={`items-center gap-2.5 ${className}`}>
      <img src="/flip.svg" alt="" className="size-6" />
      <span className="font-semibold text-base tracking-tight">{t.brand}</span>
    </div>
  );
}
