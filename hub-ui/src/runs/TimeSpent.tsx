import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import type { Run } from "@/api/types";
import { DeviceLink } from "@/devices/DeviceLink";
import { useDeviceNames } from "@/devices/fleet";
import { brief, count } from "@/format";
import { t } from "@/texts/run";
import { type Column, DataTable } from "@/ui/DataTable";
import { Loaded } from "@/ui/Loaded";
import { Section } from "@/ui/Page";
import { isOver } from "./progress";
import { spansQuery } from "./queries";
import { nameOf, PARTS, type Part, type Spent, spentOn, type Work, worksOf } from "./spent";

/** Where the time of a round went on each device: the latest one, or the one that is chosen. */
export function TimeSpent({ run }: { run: Run }) {
  const query = useQuery(spansQuery(run));
  const name = useDeviceNames();
  const [chosen, choose] = useState("");
  return (
    <Section title={t.run.spent}>
      <Loaded query={query}>
        {(messages) => {
          const works = worksOf(messages);
          const work = works.find((each) => nameOf(each) === chosen) ?? works[0];
          if (!work) return <p className="text-muted">{isOver(run) ? t.run.nothingSpent : t.run.noSpent}</p>;
          const spent = spentOn(messages, work);
          return (
            <div className="space-y-3">
              <Choice works={works} chosen={work} choose={choose} />
              <Bars spent={spent} name={name} />
              <DataTable
                caption={t.run.spentCaption(workText(work))}
                columns={COLUMNS}
                rows={spent}
                rowKey={(each) => each.message}
              />
            </div>
          );
        }}
      </Loaded>
    </Section>
  );
}

function Choice({ works, chosen, choose }: { works: Work[]; chosen: Work; choose: (name: string) => void }) {
  return (
    <label className="inline-flex items-center gap-2">
      <span className="text-muted">{t.run.columns.round}</span>
      <select
        value={nameOf(chosen)}
        onChange={(event) => choose(event.target.value)}
        className="h-9 rounded-md border border-edge bg-surface px-2"
      >
        {works.map((work) => (
          <option key={nameOf(work)} value={nameOf(work)}>
            {workText(work)}
          </option>
        ))}
      </select>
    </label>
  );
}

/** One bar a device, all to the same scale; the table under them says the same in numbers. */
function Bars({ spent, name }: { spent: Spent[]; name: (id: string) => string }) {
  const longest = Math.max(...spent.map((each) => each.total), Number.MIN_VALUE);
  return (
    <figure className="rounded-lg border border-line bg-surface px-4 py-3 shadow-card">
      <figcaption>
        <ul className="flex flex-wrap gap-x-4 gap-y-1 text-muted text-xs">
          {PARTS.map((part) => (
            <li key={part} className="inline-flex items-center gap-1.5">
              <span aria-hidden className={`size-2.5 rounded-xs ${COLOURS[part]}`} />
              {t.run.parts[part]}
            </li>
          ))}
        </ul>
      </figcaption>
      <ul className="mt-3 space-y-2.5">
        {spent.map((each) => (
          <li
            key={each.device}
            className="md:grid md:grid-cols-[11rem_minmax(0,1fr)] md:items-center md:gap-4"
          >
            <span className="block truncate text-xs md:text-sm">{name(each.device)}</span>
            <div role="img" aria-label={sentence(name(each.device), each)} className="flex h-4 gap-px">
              {PARTS.filter((part) => each.parts[part]).map((part) => (
                <div
                  key={part}
                  className={`first:rounded-l-xs last:rounded-r-xs ${COLOURS[part]}`}
                  style={{ width: `${(100 * (each.parts[part] ?? 0)) / longest}%` }}
                />
              ))}
            </div>
          </li>
        ))}
      </ul>
    </figure>
  );
}

const COLOURS: Record<Part, string> = {
  receive: "bg-part-receive",
  wait: "bg-part-wait",
  train: "bg-part-train",
  deliver: "bg-part-deliver",
  settle: "bg-part-settle",
};

const COLUMNS: readonly Column<Spent>[] = [
  {
    id: "device",
    header: t.run.spentColumns.device,
    heading: true,
    cell: ({ device }) => <DeviceLink id={device} />,
  },
  ...PARTS.map(
    (part): Column<Spent> => ({
      id: part,
      header: t.run.parts[part],
      align: "right",
      cell: ({ parts }) => <Seconds of={parts[part]} />,
    }),
  ),
  {
    id: "total",
    header: t.run.spentColumns.total,
    align: "right",
    cell: ({ total }) => <Seconds of={total} />,
  },
  {
    id: "fate",
    header: t.run.spentColumns.fate,
    cell: (each) => <span className="break-words text-muted">{fateText(each)}</span>,
  },
];

function Seconds({ of }: { of: number | undefined }) {
  return <span className="whitespace-nowrap">{of === undefined ? t.none : brief(of)}</span>;
}

function fateText({ fate, interrupted, error }: Spent): string {
  const words = [t.run.fates[fate] ?? fate, interrupted ? t.run.interrupted : "", error];
  return words.filter((word) => word !== "").join(": ") || t.none;
}

function sentence(device: string, { parts }: Spent): string {
  const told = PARTS.filter((part) => parts[part] !== undefined);
  return t.run.spentLabel(
    device,
    told.map((part) => `${t.run.parts[part]} ${brief(parts[part] ?? 0)}`).join(", "),
  );
}

function workText({ round, phase }: Work): string {
  if (round === 0) return t.run.unknownRound;
  return phase === "train" || phase === "evaluate"
    ? t.run.roundPhase(count(round), t.run.phases[phase])
    : count(round);
}
