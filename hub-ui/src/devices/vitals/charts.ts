/** What of a device's health is drawn, and how its numbers are written; without React. */
import type { HealthPoint } from "@/api/types";
import { bytes, count, figure } from "@/format";
import { t } from "@/texts/device";

export interface Drawn {
  id: string;
  title: string;
  lines: readonly { label: string; colour: string; of: (point: HealthPoint) => number | null }[];
  value: (value: number) => string;
}

const words = t.device.vitals;

export const DRAWN: readonly Drawn[] = [
  {
    id: "backlog",
    title: words.backlog,
    lines: [{ label: words.most, colour: "curve-training", of: ({ outbox_depth }) => outbox_depth }],
    value: count,
  },
  {
    id: "load",
    title: words.load,
    lines: [
      { label: words.mean, colour: "curve-devices", of: ({ load }) => load },
      { label: words.most, colour: "curve-training", of: ({ load_max }) => load_max },
    ],
    value: figure,
  },
  {
    id: "memory",
    title: words.memory,
    lines: [{ label: words.least, colour: "curve-devices", of: ({ memory_available }) => memory_available }],
    value: bytes,
  },
  {
    id: "rss",
    title: words.rss,
    lines: [{ label: words.most, colour: "curve-devices", of: ({ rss }) => rss }],
    value: bytes,
  },
  {
    id: "disk",
    title: words.disk,
    lines: [{ label: words.least, colour: "curve-devices", of: ({ disk_free }) => disk_free }],
    value: bytes,
  },
  {
    id: "temperature",
    title: words.temperature,
    lines: [
      { label: words.mean, colour: "curve-devices", of: ({ temperature }) => temperature },
      { label: words.most, colour: "curve-training", of: ({ temperature_max }) => temperature_max },
    ],
    value: (celsius) => t.device.degrees(Math.round(celsius)),
  },
];
