import { useQuery } from "@tanstack/react-query";
import { LoaderCircle } from "lucide-react";
import type { DeviceAction } from "@/api/types";
import { actionsQuery } from "@/devices/queries";
import { figure } from "@/format";
import { t } from "@/texts/model";
import { Badge } from "@/ui/Badge";
import { scoresOf } from "./input";

/** So many classes are shown, the likeliest first. */
const SHOWN = 10;

/** What came back from the device, as soon as it does. */
export function Answer({ asked, labels }: { asked: DeviceAction; labels: readonly string[] }) {
  const { data: actions = [] } = useQuery(actionsQuery(asked.device));
  const action = actions.find(({ id }) => id === asked.id) ?? asked;
  const { state, text = "", exit_status } = action;
  if (state === "queued" || state === "delivered")
    return (
      <div role="status">
        <Badge tone="accent" icon={LoaderCircle} spinning>
          {t.model.try.waits[state]}
        </Badge>
      </div>
    );
  const scores = scoresOf(text, labels);
  const failed = state !== "done" || (exit_status ?? 0) !== 0;
  if (failed || scores.length === 0)
    return (
      <p
        role="status"
        className={`whitespace-pre-wrap break-words ${failed ? "text-bad" : "font-mono text-xs"}`}
      >
        {text}
      </p>
    );
  return <Scores scores={scores} />;
}

function Scores({ scores }: { scores: { label: string; value: number }[] }) {
  const ranked = scores.toSorted((one, other) => other.value - one.value).slice(0, SHOWN);
  const [first] = ranked;
  const least = Math.min(0, ...scores.map(({ value }) => value));
  const most = first?.value ?? 1;
  return (
    <div role="status">
      <p className="mb-2">
        {t.model.try.answer} <strong className="text-lg">{first?.label}</strong>
      </p>
      <table className="w-full">
        <caption className="sr-only">{t.model.try.scores}</caption>
        <tbody>
          {ranked.map(({ label, value }) => (
            <tr key={label}>
              <th scope="row" className="w-24 truncate pr-2 text-left font-normal">
                {label}
              </th>
              <td className="w-full">
                <div
                  className="h-2.5 rounded-full bg-accent"
                  style={{ width: `${Math.max(1, (100 * (value - least)) / (most - least || 1))}%` }}
                />
              </td>
              <td className="pl-3 text-right">{figure(value)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
