import { useQuery } from "@tanstack/react-query";
import { CircleCheck, CircleX, Clock, type LucideIcon } from "lucide-react";
import type { Notice } from "@/api/types";
import { count } from "@/format";
import { t } from "@/texts/alerts";
import { Badge, type Tone } from "@/ui/Badge";
import { type Column, DataTable } from "@/ui/DataTable";
import { Loaded } from "@/ui/Loaded";
import { Section } from "@/ui/Page";
import { Ago } from "@/ui/Time";
import { noticesQuery } from "./queries";

/** What was told by mail and webhook, and what became of it; nothing before the first. */
export function Notices() {
  const query = useQuery(noticesQuery);
  return (
    <Loaded query={query} silent>
      {(notices) =>
        notices.length > 0 && (
          <Section title={t.alerts.notices}>
            <DataTable
              caption={t.alerts.noticesCaption}
              columns={COLUMNS}
              rows={notices}
              rowKey={(notice) => notice.id}
            />
          </Section>
        )
      }
    </Loaded>
  );
}

const LOOKS: Record<string, { tone: Tone; icon: LucideIcon }> = {
  waiting: { tone: "accent", icon: Clock },
  delivered: { tone: "ok", icon: CircleCheck },
  "given up": { tone: "bad", icon: CircleX },
};

const COLUMNS: readonly Column<Notice>[] = [
  {
    id: "subject",
    header: t.alerts.noticeColumns.subject,
    heading: true,
    cell: ({ subject }) => <span className="break-words font-medium">{subject}</span>,
  },
  {
    id: "channel",
    header: t.alerts.noticeColumns.channel,
    cell: ({ channel }) => t.alerts.channels[channel] ?? channel,
  },
  { id: "when", header: t.alerts.noticeColumns.when, cell: ({ made_at }) => <Ago at={made_at} /> },
  {
    id: "state",
    header: t.alerts.noticeColumns.state,
    cell: ({ state = "waiting", attempts = 0, error }) => (
      <>
        <Badge {...(LOOKS[state] ?? { tone: "muted", icon: Clock })}>
          {t.alerts.noticeStates[state] ?? state}
        </Badge>
        {error && (
          <p className="max-w-80 break-words text-muted text-xs">
            {t.alerts.attempts(count(attempts), error)}
          </p>
        )}
      </>
    ),
  },
];
