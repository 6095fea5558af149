import { useQuery } from "@tanstack/react-query";
import type { DeclaredGap } from "@/api/types";
import { count } from "@/format";
import { t } from "@/texts/device";
import { type Column, DataTable } from "@/ui/DataTable";
import { Loaded } from "@/ui/Loaded";
import { Section } from "@/ui/Page";
import { Ago } from "@/ui/Time";
import { gapsQuery } from "./queries";

/** What the device had to drop; nothing where it never had to. */
export function Gaps({ id }: { id: string }) {
  const query = useQuery(gapsQuery(id));
  return (
    <Loaded query={query} silent>
      {(gaps) =>
        gaps.length > 0 && (
          <Section title={t.device.gaps}>
            <DataTable
              caption={t.device.gaps}
              columns={COLUMNS}
              rows={gaps}
              rowKey={(gap) => gap.epoch + gap.seq}
            />
          </Section>
        )
      }
    </Loaded>
  );
}

const COLUMNS: readonly Column<DeclaredGap>[] = [
  {
    id: "priority",
    header: t.device.gapColumns.priority,
    heading: true,
    cell: ({ priority }) => <span className="font-medium">{t.device.priorities[priority]}</span>,
  },
  {
    id: "when",
    header: t.device.gapColumns.when,
    cell: (gap) => <Ago at={gap.declared_at} />,
  },
  {
    id: "why",
    header: t.device.gapColumns.why,
    cell: ({ reason }) => <span className="break-words text-muted">{reason}</span>,
  },
  {
    id: "numbers",
    header: t.device.gapColumns.numbers,
    align: "right",
    cell: (gap) => <Numbers gap={gap} />,
  },
  {
    id: "count",
    header: t.device.gapColumns.count,
    align: "right",
    cell: (gap) => (gap.count === 0 ? t.device.unknownCount : count(gap.count)),
  },
];

/** Events are numbered from 1; those that never got a number are declared with 0. */
function Numbers({ gap: { first, last } }: { gap: DeclaredGap }) {
  if (last === 0) return <span className="text-muted">{t.none}</span>;
  const range = first === last ? count(first) : t.device.range(count(first), count(last));
  return <span className="whitespace-nowrap">{range}</span>;
}
