import { lazy, Suspense, useState } from "react";
import type { DeviceBrief } from "@/api/types";
import { count } from "@/format";
import { t } from "@/texts";
import { Button } from "@/ui/Button";
import type { Operation } from "./BulkDialog";

const BulkDialog = lazy(() => import("./BulkDialog").then((module) => ({ default: module.BulkDialog })));

interface Props {
  shown: readonly DeviceBrief[];
  selected: ReadonlySet<string>;
  select: (ids: ReadonlySet<string>) => void;
}

const OPERATIONS: readonly Operation[] = [
  "tag",
  "untag",
  "site",
  "restart",
  "collect-logs",
  "doctor",
  "revoke",
];

/** What can be done with the devices that are selected; nothing while none is. */
export function BulkBar({ shown, selected, select }: Props) {
  const [operation, operate] = useState<Operation | null>(null);
  const devices = shown.filter(({ id }) => selected.has(id));
  if (devices.length === 0) return null;
  return (
    <section
      aria-label={t.devices.bulk.label}
      className="sticky top-2 z-30 mb-3 flex flex-wrap items-center gap-2 rounded-lg border border-accent/40 bg-accent-soft px-3 py-2 shadow-card"
    >
      <p className="mr-1 font-medium">{t.devices.bulk.selected(count(devices.length))}</p>
      {devices.length < shown.length && (
        <Button onClick={() => select(new Set(shown.map(({ id }) => id)))}>
          {t.devices.bulk.all(count(shown.length))}
        </Button>
      )}
      {OPERATIONS.map((each) => (
        <Button key={each} onClick={() => operate(each)}>
          {t.devices.bulk.operations[each]}
        </Button>
      ))}
      <Button className="ml-auto" onClick={() => select(new Set())}>
        {t.devices.bulk.none}
      </Button>
      {operation && (
        <Suspense>
          <BulkDialog key={operation} operation={operation} devices={devices} close={() => operate(null)} />
        </Suspense>
      )}
    </section>
  );
}
