import { Bookmark } from "lucide-react";
import { lazy, Suspense, useMemo } from "react";
import { count } from "@/format";
import { t } from "@/texts";
import { buttonLook } from "@/ui/Button";
import { SearchField } from "@/ui/Field";
import { LOOKS } from "./DeviceState";
import { countByStatus, isFiltered, labelsOf, STATUSES } from "./filter";
import type { Fleet } from "./fleet";
import { useDeviceFilter } from "./use-filter";

const SavedViews = lazy(() => import("./SavedViews").then((module) => ({ default: module.SavedViews })));

const TEXT = {
  ok: "text-ok",
  warn: "text-warn",
  bad: "text-bad",
  accent: "text-accent",
  muted: "text-muted",
};

const BOX =
  "inline-flex h-9 items-center gap-1.5 rounded-md border border-line bg-surface px-2.5 hover:border-edge aria-pressed:border-accent aria-pressed:bg-accent-soft";

/** What the page shows of the fleet, and how. */
export function Filters({ fleet }: { fleet: Fleet }) {
  const [filter, setFilter] = useDeviceFilter();
  const counts = useMemo(() => countByStatus(fleet.values()), [fleet]);
  const labels = useMemo(() => labelsOf(fleet.values()), [fleet]);
  const { status: chosen, ...rest } = filter;
  return (
    <search className="mb-4 flex flex-wrap items-center gap-2">
      <SearchField
        label={t.devices.search}
        value={filter.q ?? ""}
        onChange={(q) => setFilter({ ...filter, q })}
      />
      <fieldset className="flex flex-wrap gap-1.5">
        <legend className="sr-only">{t.devices.status}</legend>
        {STATUSES.filter((status) => counts[status] > 0 || chosen === status).map((status) => {
          const { icon: Icon, tone } = LOOKS[status];
          return (
            <button
              key={status}
              type="button"
              aria-pressed={chosen === status}
              onClick={() => setFilter(chosen === status ? rest : { ...rest, status })}
              className={BOX}
            >
              <Icon aria-hidden className={`size-4 ${TEXT[tone]}`} />
              {t.devices.statuses[status]}
              <span className="text-muted">{count(counts[status])}</span>
            </button>
          );
        })}
      </fieldset>
      <LabelChoice kind="site" labels={labels.site} />
      <LabelChoice kind="tag" labels={labels.tag} />
      <LabelChoice kind="group" labels={labels.group} />
      <Suspense fallback={isFiltered(filter) && <PlaceOfViews />}>
        <SavedViews />
      </Suspense>
    </search>
  );
}

/** As large as the button that is on its way, so that nothing below it moves. */
function PlaceOfViews() {
  return (
    <span aria-hidden className={`${buttonLook("plain")} invisible h-9`}>
      <Bookmark className="size-4" />
      {t.devices.views.title}
    </span>
  );
}

function LabelChoice({ kind, labels }: { kind: "site" | "tag" | "group"; labels: readonly string[] }) {
  const [filter, setFilter] = useDeviceFilter();
  const { [kind]: chosen, ...rest } = filter;
  if (labels.length === 0 && chosen === undefined) return null;
  const listed = chosen === undefined || labels.includes(chosen) ? labels : [chosen, ...labels];
  return (
    <select
      aria-label={t.devices.labels[kind]}
      value={chosen ?? ""}
      onChange={(event) => setFilter(event.target.value ? { ...rest, [kind]: event.target.value } : rest)}
      className={`h-9 max-w-44 rounded-md border bg-surface px-2 ${chosen ? "border-accent bg-accent-soft" : "border-line"}`}
    >
      <option value="">{t.devices.anyLabel[kind]}</option>
      {listed.map((label) => (
        <option key={label} value={label}>
          {label}
        </option>
      ))}
    </select>
  );
}
