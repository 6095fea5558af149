import { Link } from "@tanstack/react-router";
import type { DeviceBrief } from "@/api/types";
import { count } from "@/format";
import { t } from "@/texts";
import { Badge } from "@/ui/Badge";
import { LOOKS } from "./DeviceState";
import { countByStatus, STATUSES } from "./filter";

/** How many devices are in each state: the legend of a map, and the way to those devices. */
export function DeviceCounts({ devices }: { devices: readonly DeviceBrief[] }) {
  const counts = countByStatus(devices);
  return (
    <ul className="flex flex-wrap gap-x-5 gap-y-1.5">
      {STATUSES.filter((status) => counts[status] > 0).map((status) => (
        <li key={status}>
          <Link to="/devices" search={{ status }} className="hover:underline">
            <Badge {...LOOKS[status]}>
              <span className="font-semibold text-lg leading-none">{count(counts[status])}</span>{" "}
              {t.devices.statuses[status]}
            </Badge>
          </Link>
        </li>
      ))}
    </ul>
  );
}
