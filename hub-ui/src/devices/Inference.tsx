import type { Device, ModelTraffic } from "@/api/types";
import { count, milliseconds } from "@/format";
import { t } from "@/texts/device";
import { type Column, DataTable } from "@/ui/DataTable";
import { Section } from "@/ui/Page";

/** What the device's own apps have asked its models, since its inference server started; nothing where it serves none. */
export function Inference({ device }: { device: Device }) {
  const traffic = device.health?.inference ?? [];
  const lost = Object.entries(device.health?.samples_lost ?? {});
  if (traffic.length === 0) return null;
  return (
    <Section title={t.device.inference}>
      <DataTable
        caption={t.device.inference}
        columns={COLUMNS}
        rows={traffic}
        rowKey={(each) => `${each.instance} ${each.model}`}
      />
      {lost.length > 0 && (
        <p className="mt-2 text-muted text-xs">
          {t.device.samplesLost(
            lost.map(([why, number]) => t.device.lost(count(number), why.replaceAll("_", " "))).join(", "),
          )}
        </p>
      )}
    </Section>
  );
}

const COLUMNS: readonly Column<ModelTraffic>[] = [
  {
    id: "model",
    header: t.device.trafficColumns.model,
    heading: true,
    cell: ({ model, version }) => <span className="font-mono">{t.devices.serves(model, version)}</span>,
  },
  {
    id: "requests",
    header: t.device.trafficColumns.requests,
    align: "right",
    cell: ({ requests }) => count(requests),
  },
  {
    id: "middle",
    header: t.device.trafficColumns.middle,
    align: "right",
    cell: ({ requests, p50 }) => (requests === 0 ? t.none : milliseconds(p50)),
  },
  {
    id: "slowest",
    header: t.device.trafficColumns.slowest,
    align: "right",
    cell: ({ requests, p99 }) => (requests === 0 ? t.none : milliseconds(p99)),
  },
  {
    id: "refused",
    header: t.device.trafficColumns.refused,
    align: "right",
    cell: ({ refused }) => count(refused),
  },
  {
    id: "failed",
    header: t.device.trafficColumns.failed,
    align: "right",
    cell: ({ failed }) => count(failed),
  },
  {
    id: "swaps",
    header: t.device.trafficColumns.swaps,
    align: "right",
    cell: ({ swaps, rollbacks }) => t.device.swaps(count(swaps), rollbacks && count(rollbacks)),
  },
];
