import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { AlertLine } from "@/alerts/AlertLine";
import { openAlertsQuery } from "@/alerts/queries";
import { count } from "@/format";
import { t } from "@/texts";
import { Card } from "@/ui/Card";
import { Loaded } from "@/ui/Loaded";

const SHOWN = 6;

/** What is wrong now, newest first. */
export function OpenAlerts() {
  const query = useQuery(openAlertsQuery);
  return (
    <Card title={t.overview.alerts}>
      <Loaded query={query}>
        {(alerts) =>
          alerts.length === 0 ? (
            <p className="text-muted">{t.overview.noAlerts}</p>
          ) : (
            <>
              <ul className="space-y-3">
                {alerts.slice(0, SHOWN).map((alert) => (
                  <li key={alert.id}>
                    <AlertLine alert={alert} />
                  </li>
                ))}
              </ul>
              {alerts.length > SHOWN && (
                <p className="mt-3">
                  <Link to="/alerts" className="text-accent hover:underline">
                    {t.overview.allAlerts(count(alerts.length - SHOWN))}
                  </Link>
                </p>
              )}
            </>
          )
        }
      </Loaded>
    </Card>
  );
}
