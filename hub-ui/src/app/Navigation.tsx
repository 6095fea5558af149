import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { openAlertsQuery } from "@/alerts/queries";
import { count } from "@/format";
import { usePermissions } from "@/session/may";
import { t } from "@/texts";
import { ACCOUNT, ADMINISTRATION, PAGES, type PageEntry } from "./pages";

export const NAVIGATION = "navigation";

/** The pages that whoever is signed in may see. */
export function Navigation({ open }: { open: boolean }) {
  const permissions = usePermissions();
  const allowed = (pages: readonly PageEntry[]) => pages.filter(({ needs }) => permissions.includes(needs));
  const administration = allowed(ADMINISTRATION);
  return (
    <div
      id={NAVIGATION}
      className={`${open ? "" : "hidden"} border-line border-b bg-surface p-3 md:sticky md:top-0 md:row-span-2 md:row-start-1 md:block md:h-dvh md:overflow-y-auto md:border-r md:border-b-0 md:pt-0`}
    >
      <Brand className="hidden h-14 px-2 md:flex" />
      <nav aria-label={t.nav.label}>
        <Pages pages={allowed(PAGES)} />
        {administration.length > 0 && (
          <>
            <p className="mt-5 mb-1 px-2.5 font-medium text-muted text-xs">{t.nav.administration}</p>
            <Pages pages={administration} />
          </>
        )}
        <div className="mt-5 sm:hidden">
          <Pages pages={allowed([ACCOUNT])} />
        </div>
      </nav>
    </div>
  );
}

function Pages({ pages }: { pages: readonly PageEntry[] }) {
  return (
    <ul className="space-y-0.5">
      {pages.map(({ to, label, icon: Icon }) => (
        <li key={to}>
          <Link
            to={to}
            activeOptions={{ exact: to === "/" }}
            className="flex items-center gap-2.5 rounded-md px-2.5 py-2 text-muted hover:bg-raised hover:text-ink aria-[current=page]:bg-accent-soft aria-[current=page]:font-medium aria-[current=page]:text-accent"
          >
            <Icon aria-hidden className="size-4.5" strokeWidth={1.75} />
            {label}
            {to === "/alerts" && <OpenAlerts />}
          </Link>
        </li>
      ))}
    </ul>
  );
}

function OpenAlerts() {
  const { data: alerts = [] } = useQuery(openAlertsQuery);
  if (alerts.length === 0) return null;
  return (
    <span
      className="ml-auto rounded-full bg-bad-soft px-1.5 font-medium text-bad text-xs"
      title={t.nav.openAlerts}
    >
      {count(alerts.length)}
    </span>
  );
}

export function Brand({ className }: { className: string }) {
  return (
    <div className={`items-center gap-2.5 ${className}`}>
      <img src="/flip.svg" alt="" className="size-6" />
      <span className="font-semibold text-base tracking-tight max-[22rem]:hidden">{t.brand}</span>
    </div>
  );
}
