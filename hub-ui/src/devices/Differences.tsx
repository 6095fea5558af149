import type { Device, Difference } from "@/api/types";
import { t } from "@/texts/device";
import { type Column, DataTable } from "@/ui/DataTable";
import { Section } from "@/ui/Page";
import { Ago } from "@/ui/Time";

/** What is wanted of the device against what it reports. */
export function Differences({ device: { differences, status } }: { device: Device }) {
  if (status === "revoked") return null;
  return (
    <Section title={t.device.differences}>
      {differences.length === 0 ? (
        <p className="text-muted">{t.device.asWanted}</p>
      ) : (
        <DataTable
          caption={t.device.differencesCaption}
          columns={COLUMNS}
          rows={differences}
          rowKey={({ what, name }) => `${what} ${name}`}
        />
      )}
    </Section>
  );
}

const COLUMNS: readonly Column<Difference>[] = [
  {
    id: "what",
    header: t.device.differenceColumns.what,
    heading: true,
    cell: ({ what, name }) => <span className="font-medium">{t.device.whats[what]?.(name) ?? name}</span>,
  },
  {
    id: "reported",
    header: t.device.differenceColumns.reported,
    cell: ({ reported }) => (
      <del className="rounded-sm bg-bad-soft px-1.5 py-0.5 font-mono text-[0.8125rem] text-bad no-underline">
        {reported || t.none}
      </del>
    ),
  },
  {
    id: "wanted",
    header: t.device.differenceColumns.wanted,
    cell: ({ wanted }) => (
      <ins className="rounded-sm bg-ok-soft px-1.5 py-0.5 font-mono text-[0.8125rem] text-ok no-underline">
        {wanted}
      </ins>
    ),
  },
  { id: "since", header: t.device.differenceColumns.since, cell: ({ since }) => <Ago at={since} /> },
  {
    id: "why",
    header: t.device.differenceColumns.why,
    cell: ({ because }) => <span className="break-words text-muted">{because}</span>,
  },
];
