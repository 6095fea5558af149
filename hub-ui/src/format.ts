/** Numbers, sizes and times for people, through Intl. Times are seconds since the Unix epoch, as on the wire. */
import { language } from "@/texts/language";

/** The reader's own way of writing the language that is spoken: British or American dates, for example. */
const own = navigator.languages.filter((tag) => tag.split("-")[0] === language);
const locale = own.length > 0 ? own : [language];

const whole = new Intl.NumberFormat(locale, { maximumFractionDigits: 0 });
const fine = new Intl.NumberFormat(locale, { minimumFractionDigits: 4, maximumFractionDigits: 4 });
const coarse = new Intl.NumberFormat(locale, { maximumSignificantDigits: 4 });
const short = new Intl.DateTimeFormat(locale, { hour: "2-digit", minute: "2-digit" });
const dated = new Intl.DateTimeFormat(locale, {
  day: "numeric",
  month: "short",
  hour: "2-digit",
  minute: "2-digit",
});
const daily = new Intl.DateTimeFormat(locale, { day: "numeric", month: "short" });
const full = new Intl.DateTimeFormat(locale, { dateStyle: "full", timeStyle: "medium" });
const relative = new Intl.RelativeTimeFormat(locale, { numeric: "auto", style: "short" });

const byte = new Intl.NumberFormat(locale, { style: "unit", unit: "byte", unitDisplay: "long" });
const oneDecimal = new Intl.NumberFormat(locale, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const tenth = new Intl.NumberFormat(locale, { maximumFractionDigits: 1 });

const share = new Intl.NumberFormat(locale, {
  style: "percent",
  minimumFractionDigits: 1,
  maximumFractionDigits: 1,
});

const SIZES = ["KiB", "MiB", "GiB", "TiB"];
const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

export function count(value: number): string {
  return whole.format(value);
}

/** A metric: four decimals where that says something, four digits where the number is large. */
export function metric(value: number): string {
  return Math.abs(value) < 10 ? fine.format(value) : coarse.format(value);
}

/** "62.5 %", of a share of 1. */
export function percent(value: number): string {
  return share.format(value);
}

/** "0.3", one decimal. */
export function tenths(value: number): string {
  return oneDecimal.format(value);
}

/** Four digits that count, and very small numbers as powers of ten: "4.377", "1e-5". */
export function figure(value: number): string {
  return value !== 0 && Math.abs(value) < 1e-3 ? value.toExponential() : coarse.format(value);
}

/** In powers of 1024, as the agent's and the hub's own words are; Intl has no units for them. */
export function bytes(value: number): string {
  const power = value < 1 ? 0 : Math.min(Math.floor(Math.log2(value) / 10), SIZES.length);
  if (power === 0) return byte.format(value);
  return `${tenth.format(value / 1024 ** power)}\u00a0${SIZES[power - 1]}`;
}

/** The two largest units: "48 sec", "2 min 8 sec", "3 hr 12 min". */
export function duration(seconds: number): string {
  const rounded = Math.max(0, Math.round(seconds));
  const parts: [number, string][] = [
    [Math.floor(rounded / DAY), "day"],
    [Math.floor((rounded % DAY) / HOUR), "hour"],
    [Math.floor((rounded % HOUR) / MINUTE), "minute"],
    [rounded % MINUTE, "second"],
  ];
  const first = parts.findIndex(([amount]) => amount > 0);
  if (first === -1) return unit(0, "second");
  return parts
    .slice(first, first + 2)
    .filter(([amount]) => amount > 0)
    .map(([amount, name]) => unit(amount, name))
    .join(" ");
}

/** As `duration`, with tenths while those say something: "0.4 sec". */
export function brief(seconds: number): string {
  if (seconds >= 10) return duration(seconds);
  return new Intl.NumberFormat(locale, {
    style: "unit",
    unit: "second",
    unitDisplay: "short",
    minimumFractionDigits: 1,
    maximumFractionDigits: 1,
  }).format(seconds);
}

/** "2.1 ms", "340 ms". */
export function milliseconds(seconds: number): string {
  const value = seconds * 1000;
  return `${value < 100 ? tenth.format(value) : whole.format(value)}\u00a0ms`;
}

/** "now", "12 sec. ago", "3 hr. ago", "yesterday". */
export function ago(at: number, now: number): string {
  const seconds = Math.max(0, now - at);
  if (seconds < 5) return relative.format(0, "second");
  if (seconds < MINUTE) return relative.format(-Math.floor(seconds / 5) * 5, "second");
  if (seconds < HOUR) return relative.format(-Math.floor(seconds / MINUTE), "minute");
  if (seconds < DAY) return relative.format(-Math.floor(seconds / HOUR), "hour");
  return relative.format(-Math.floor(seconds / DAY), "day");
}

/** "14:02" today, "20 Nov, 14:02" before. */
export function clock(at: number, now: number): string {
  const date = new Date(at * 1000);
  const today = date.toDateString() === new Date(now * 1000).toDateString();
  return (today ? short : dated).format(date);
}

/** "14:02". */
export function timeOfDay(at: number): string {
  return short.format(new Date(at * 1000));
}

/** "20 Nov". */
export function day(at: number): string {
  return daily.format(new Date(at * 1000));
}

export function moment(at: number): string {
  return full.format(new Date(at * 1000));
}

function unit(amount: number, name: string): string {
  return new Intl.NumberFormat(locale, { style: "unit", unit: name, unitDisplay: "short" }).format(amount);
}
