/** Draws the cells of a map of the fleet: each state has a colour and a form of its own; without React. */
import type { DeviceBrief } from "@/api/types";
import { colourOf } from "@/ui/colours";
import { type Layout, placeOf } from "./map-layout";

export type Pens = Record<"ok" | "warn" | "bad" | "unknown" | "surface", string>;

export function pensOf(element: HTMLElement): Pens {
  return {
    ok: colourOf(element, "map-ok"),
    warn: colourOf(element, "map-warn"),
    bad: colourOf(element, "map-bad"),
    unknown: colourOf(element, "edge"),
    surface: colourOf(element, "surface"),
  };
}

/** From this size of a cell on, its glyph is drawn into it. */
const GLYPHS = 15;

export function draw(
  canvas: HTMLCanvasElement,
  devices: readonly DeviceBrief[],
  layout: Layout,
  width: number,
  pens: Pens,
): void {
  const scale = devicePixelRatio;
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(layout.height * scale);
  const context = canvas.getContext("2d");
  if (!context) return;
  context.scale(scale, scale);
  context.lineCap = "round";
  devices.forEach((device, index) => {
    const { left, top } = placeOf(layout, index);
    cell(context, device, left, top, layout.side, pens);
  });
}

function cell(
  context: CanvasRenderingContext2D,
  device: DeviceBrief,
  x: number,
  y: number,
  side: number,
  pens: Pens,
): void {
  const { status, severity } = device;
  if (status === "ok") {
    context.fillStyle = pens.ok;
    context.fillRect(x, y, side, side);
    if (side >= GLYPHS) tick(context, x, y, side, pens.surface);
  } else if (status === "unhealthy") {
    context.fillStyle = severity === "critical" ? pens.bad : pens.warn;
    triangle(context, x, y, side);
    if (side >= GLYPHS) exclamation(context, x, y, side, pens.surface);
  } else {
    hollow(context, x, y, side, pens.unknown);
    if (status === "revoked") slash(context, x, y, side, pens.unknown);
    else if (side >= GLYPHS) question(context, x, y, side, pens.unknown);
  }
}

function triangle(context: CanvasRenderingContext2D, x: number, y: number, side: number): void {
  context.beginPath();
  context.moveTo(x + side / 2, y);
  context.lineTo(x + side, y + side);
  context.lineTo(x, y + side);
  context.closePath();
  context.fill();
}

function hollow(context: CanvasRenderingContext2D, x: number, y: number, side: number, pen: string): void {
  context.strokeStyle = pen;
  context.lineWidth = side >= GLYPHS ? 1.5 : 1;
  context.strokeRect(x + 0.75, y + 0.75, side - 1.5, side - 1.5);
}

function tick(context: CanvasRenderingContext2D, x: number, y: number, side: number, pen: string): void {
  stroke(context, pen, side, [
    [x + side * 0.28, y + side * 0.53],
    [x + side * 0.44, y + side * 0.69],
    [x + side * 0.73, y + side * 0.33],
  ]);
}

function slash(context: CanvasRenderingContext2D, x: number, y: number, side: number, pen: string): void {
  stroke(context, pen, side, [
    [x + side * 0.2, y + side * 0.8],
    [x + side * 0.8, y + side * 0.2],
  ]);
}

function exclamation(
  context: CanvasRenderingContext2D,
  x: number,
  y: number,
  side: number,
  pen: string,
): void {
  stroke(context, pen, side, [
    [x + side / 2, y + side * 0.4],
    [x + side / 2, y + side * 0.66],
  ]);
  context.fillStyle = pen;
  context.fillRect(x + side / 2 - side * 0.05, y + side * 0.78, side * 0.1, side * 0.1);
}

function question(context: CanvasRenderingContext2D, x: number, y: number, side: number, pen: string): void {
  context.fillStyle = pen;
  context.font = `600 ${Math.round(side * 0.62)}px ui-sans-serif, system-ui, sans-serif`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.fillText("?", x + side / 2, y + side * 0.54);
}

function stroke(
  context: CanvasRenderingContext2D,
  pen: string,
  side: number,
  points: readonly [number, number][],
): void {
  context.strokeStyle = pen;
  context.lineWidth = Math.max(1.25, side * 0.09);
  context.beginPath();
  for (const [index, [x, y]] of points.entries()) index === 0 ? context.moveTo(x, y) : context.lineTo(x, y);
  context.stroke();
}
