import { useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { BellRing } from "lucide-react";
import type { Alert } from "@/api/types";
import { useMay } from "@/session/may";
import { t } from "@/texts/alerts";
import { Badge } from "@/ui/Badge";
import { Choices } from "@/ui/Choices";
import { Confirm } from "@/ui/Confirm";
import { type Column, DataTable } from "@/ui/DataTable";
import { Empty } from "@/ui/Empty";
import { Loaded } from "@/ui/Loaded";
import { Page } from "@/ui/Page";
import { Ago } from "@/ui/Time";
import { Cause, SEVERITY_LOOKS } from "./AlertLine";
import { Notices } from "./Notices";
import { acknowledge, alertsQuery } from "./queries";
import { Silence } from "./Silence";
import { Silences } from "./Silences";
import { ALERT_STATUSES } from "./status";

export function AlertsPage() {
  const { status = "open" } = useSearch({ from: "/signed-in/alerts" });
  const navigate = useNavigate({ from: "/alerts" });
  const query = useQuery(alertsQuery(status));
  const mayOperate = useMay("alerts:operate");
  return (
    <Page title={t.alerts.title}>
      <div className="mb-4">
        <Choices
          label={t.alerts.which}
          choices={ALERT_STATUSES.map((each) => ({ value: each, label: t.alerts.statuses[each] }))}
          value={status}
          onChange={(chosen) =>
            void navigate({ search: chosen === "open" ? {} : { status: chosen }, replace: true })
          }
        />
      </div>
      <Loaded query={query}>
        {(alerts) =>
          alerts.length === 0 ? (
            <Empty icon={BellRing} title={t.alerts.none[status]} text={t.alerts.noneText} />
          ) : (
            <DataTable
              caption={t.alerts.caption}
              columns={mayOperate ? [...COLUMNS, DECISIONS] : COLUMNS}
              rows={alerts}
              rowKey={(alert) => alert.id}
            />
          )
        }
      </Loaded>
      <Silences />
      <Notices />
    </Page>
  );
}

const COLUMNS: readonly Column<Alert>[] = [
  {
    id: "alert",
    header: t.alerts.columns.alert,
    heading: true,
    cell: ({ severity, title, text }) => (
      <>
        <Badge {...SEVERITY_LOOKS[severity]} title={t.severities[severity]}>
          {title}
        </Badge>
        <p className="ml-5.5 max-w-120 break-words text-muted text-xs">{text}</p>
      </>
    ),
  },
  { id: "of", header: t.alerts.columns.of, cell: (alert) => <Cause alert={alert} /> },
  { id: "since", header: t.alerts.columns.since, cell: ({ opened_at }) => <Ago at={opened_at} /> },
  { id: "state", header: t.alerts.columns.state, cell: (alert) => <State alert={alert} /> },
];

const DECISIONS: Column<Alert> = {
  id: "decisions",
  header: t.alerts.columns.decisions,
  align: "right",
  cell: (alert) =>
    alert.resolved_at == null && (
      <span className="inline-flex flex-wrap justify-end gap-2 md:flex-nowrap">
        {alert.acknowledged_at == null && (
          <Confirm
            label={t.alerts.acknowledge}
            name={t.alerts.acknowledgeName(alert.title, alert.name || alert.subject)}
            title={t.alerts.acknowledgeTitle}
            text={t.alerts.acknowledgeText(alert.title, alert.name || alert.subject)}
            action={t.alerts.acknowledge}
            run={() => acknowledge(alert.id)}
          />
        )}
        <Silence alert={alert} />
      </span>
    ),
};

function State({ alert: { resolved_at, acknowledged_at, acknowledged_by } }: { alert: Alert }) {
  if (resolved_at != null)
    return (
      <>
        {t.alerts.over} <Ago at={resolved_at} />
      </>
    );
  if (acknowledged_at == null) return t.alerts.nobody;
  return (
    <>
      {t.alerts.looksAfter(acknowledged_by ?? "")} <Ago at={acknowledged_at} />
    </>
  );
}
