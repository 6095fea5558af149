import { useQuery } from "@tanstack/react-query";
import { CircleCheck, LoaderCircle } from "lucide-react";
import type { EnrolmentToken } from "@/api/types";
import { DeviceLink } from "@/devices/DeviceLink";
import { DeviceState } from "@/devices/DeviceState";
import { count } from "@/format";
import { t } from "@/texts/enrol";
import { Badge } from "@/ui/Badge";
import { Loaded } from "@/ui/Loaded";
import { Ago } from "@/ui/Time";
import { enrolledQuery } from "./queries";

/** The devices that come with this token; it turns green as they do. */
export function Waiting({ token }: { token: EnrolmentToken }) {
  const query = useQuery(enrolledQuery(token.id));
  return (
    <Loaded query={query}>
      {(devices) => (
        <div role="status" className="space-y-3">
          {devices.length < token.uses ? (
            <Badge tone="accent" icon={LoaderCircle} spinning>
              {devices.length === 0
                ? t.enrol.waiting
                : t.enrol.waitingMore(count(devices.length), count(token.uses))}
            </Badge>
          ) : (
            <div className="rounded-md border border-ok/40 bg-ok-soft px-3 py-2">
              <Badge tone="ok" icon={CircleCheck}>
                {t.enrol.complete(count(devices.length))}
              </Badge>
            </div>
          )}
          {devices.length > 0 && (
            <ul className="divide-y divide-line">
              {devices.map((device) => (
                <li
                  key={device.id}
                  className="flex flex-wrap items-center justify-between gap-x-4 gap-y-1 py-2"
                >
                  <DeviceLink id={device.id} />
                  <span className="flex items-center gap-3">
                    <DeviceState device={device} brief />
                    <span className="text-muted text-xs">
                      <Ago at={device.enrolled_at} />
                    </span>
                  </span>
                </li>
              ))}
            </ul>
          )}
        </div>
      )}
    </Loaded>
  );
}
