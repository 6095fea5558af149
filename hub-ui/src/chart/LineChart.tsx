import { useEffect, useRef } from "react";
import uPlot from "uplot";
import { theme } from "@/app/theme";
import { day, metric, timeOfDay } from "@/format";
import { colourOf } from "@/ui/colours";
import "uplot/dist/uPlot.min.css";

export interface Line {
  label: string;
  /** Name of a colour of the theme. */
  colour: string;
  values: (number | null)[];
}

interface Props {
  /** Whole numbers, or with `time` seconds since the epoch. */
  x: number[];
  lines: Line[];
  time?: boolean;
  /** Pixels. */
  height?: number;
  /** How a value of the vertical axis is written. */
  value?: (value: number) => string;
  /** What the picture says, for those who do not see it. */
  label: string;
  /** Which point the pointer is at, or none. */
  onPoint: (index: number | null) => void;
}

const HEIGHT = 210;

/** Lines over whole numbers or time; a missing value is a gap. Drawn by uPlot, drawn again when the colours change. */
export function LineChart(props: Props) {
  const { x, lines, label, onPoint, time = false, height = HEIGHT, value = tickText } = props;
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const data = [x, ...lines.map((line) => line.values)] as uPlot.AlignedData;
  const latest = useRef({ data, onPoint });
  latest.current = { data, onPoint };
  const shape = lines.map((line) => line.label + line.colour).join();

  // biome-ignore lint/correctness/useExhaustiveDependencies: only another set of lines needs another plot
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const draw = () => {
      plot.current?.destroy();
      plot.current = new uPlot(
        options(element, { lines, time, height, value }, (index) => latest.current.onPoint(index)),
        latest.current.data,
        element,
      );
    };
    const size = new ResizeObserver(() => plot.current?.setSize({ width: element.clientWidth, height }));
    draw();
    size.observe(element);
    const stop = theme.subscribe(draw);
    return () => {
      stop();
      size.disconnect();
      plot.current?.destroy();
      plot.current = null;
    };
  }, [shape]);

  useEffect(() => plot.current?.setData(latest.current.data));

  return <div ref={box} role="img" aria-label={label} style={{ minHeight: height }} />;
}

function options(
  element: HTMLElement,
  { lines, time, height, value }: Required<Pick<Props, "lines" | "time" | "height" | "value">>,
  onPoint: (index: number | null) => void,
): uPlot.Options {
  const colour = (name: string) => colourOf(element, name);
  const axis: uPlot.Axis = {
    stroke: colour("muted"),
    font: `11px ${getComputedStyle(element).fontFamily}`,
    grid: { stroke: colour("line"), width: 1 },
    ticks: { show: false },
    gap: 6,
  };
  return {
    width: element.clientWidth,
    height,
    padding: [8, 12, 0, 0],
    legend: { show: false },
    cursor: { y: false, drag: { setScale: false }, points: { size: 8 } },
    scales: { x: time ? { time } : { time, range: (_, low, high) => around(low, high) } },
    axes: [
      { ...axis, grid: { show: false }, size: 26, ...(time ? { values: timeTexts } : { incrs: WHOLE }) },
      { ...axis, size: 60, values: (_, ticks) => ticks.map(value) },
    ],
    series: [
      {},
      ...lines.map((line) => ({
        label: line.label,
        stroke: colour(line.colour),
        width: time ? 1.5 : 2,
        points: { show: !time, size: 6, fill: colour("surface") },
        spanGaps: false,
      })),
    ],
    hooks: { setCursor: [(self) => onPoint(self.cursor.idx ?? null)] },
  };
}

const DAY = 24 * 3600;

/** Days where the marks are days apart, else times of day. */
function timeTexts(_: uPlot, at: number[], __: number, ___: number, apart: number): string[] {
  return at.map(apart >= DAY ? day : timeOfDay);
}

const WHOLE = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000];

/** A first round alone stands in the middle; later ones go from edge to edge. */
function around(low: number, high: number): [number, number] {
  return low === high ? [low - 0.5, high + 0.5] : [low, high];
}

function tickText(value: number): string {
  return metric(value)
    .replace(/([.,]\d*?)0+$/, "$1")
    .replace(/[.,]$/, "");
}
