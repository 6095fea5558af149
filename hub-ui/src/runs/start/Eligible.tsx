import { useQuery } from "@tanstack/react-query";
import { CircleCheck, TriangleAlert } from "lucide-react";
import { DeviceLink } from "@/devices/DeviceLink";
import { count } from "@/format";
import { t } from "@/texts/start";
import { Badge } from "@/ui/Badge";
import { Loaded } from "@/ui/Loaded";
import type { Values } from "./fields";
import { candidatesQuery, filterOf } from "./queries";

/** So many of those that would not train are shown at once. */
const SHOWN = 8;

/** Who would train if the run were started now, and why not the others. */
export function Eligible({ values }: { values: Values }) {
  const query = useQuery(candidatesQuery(filterOf(values)));
  return (
    <div className="mt-4 border-line border-t pt-4" role="status">
      <Loaded query={query}>
        {({ able, absent, barred, others }) => (
          <>
            <Badge tone={able > 0 ? "ok" : "warn"} icon={able > 0 ? CircleCheck : TriangleAlert}>
              {t.start.able(count(able))}
            </Badge>
            <p className="text-muted">{t.start.notAble(count(absent), count(barred))}</p>
            {others.length > 0 && (
              <details className="mt-2">
                <summary className="cursor-pointer text-muted">{t.start.whyNot}</summary>
                <ul className="mt-2 space-y-1">
                  {others.slice(0, SHOWN).map(({ device_id, barred: why, absence }) => (
                    <li key={device_id}>
                      <DeviceLink id={device_id} />
                      <span className="text-muted">: {why || t.start.absences[absence ?? "unknown"]}</span>
                    </li>
                  ))}
                  {others.length > SHOWN && (
                    <li className="text-muted">{t.start.moreOthers(count(absent + barred - SHOWN))}</li>
                  )}
                </ul>
              </details>
            )}
          </>
        )}
      </Loaded>
    </div>
  );
}
