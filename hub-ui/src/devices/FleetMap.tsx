import { useNavigate } from "@tanstack/react-router";
import { type KeyboardEvent, type MouseEvent, useEffect, useRef, useState } from "react";
import type { DeviceBrief, DeviceStatus } from "@/api/types";
import { theme } from "@/app/theme";
import { clock, count } from "@/format";
import { t } from "@/texts";
import { useNow } from "@/ui/Time";
import { countByStatus, STATUSES } from "./filter";
import { draw, type Pens, pensOf } from "./map-drawing";
import { cellAt, type Layout, layOut, moved, placeOf } from "./map-layout";

/** One cell for each device, drawn at once however many there are: pointer and arrow keys say which, Enter opens. */
export function FleetMap({ devices }: { devices: readonly DeviceBrief[] }) {
  const box = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const [width, setWidth] = useState(0);
  const [pens, setPens] = useState<Pens | null>(null);
  const [chosen, choose] = useState(-1);
  const navigate = useNavigate();
  const layout = layOut(devices.length, width);

  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const size = new ResizeObserver(() => setWidth(element.clientWidth));
    const colours = () => setPens(pensOf(element));
    size.observe(element);
    colours();
    const stop = theme.subscribe(colours);
    return () => {
      stop();
      size.disconnect();
    };
  }, []);

  useEffect(() => {
    if (canvas.current && pens && width > 0)
      draw(canvas.current, devices, layOut(devices.length, width), width, pens);
  }, [devices, width, pens]);

  const at = (event: MouseEvent) => {
    const place = canvas.current?.getBoundingClientRect();
    if (!place) return -1;
    return cellAt(layout, devices.length, event.clientX - place.left, event.clientY - place.top);
  };
  const open = (index: number) => {
    const device = devices[index];
    if (device) void navigate({ to: "/devices/$id", params: { id: device.id } });
  };
  const press = (event: KeyboardEvent) => {
    if (event.key === "Enter") open(chosen);
    else if (event.key.startsWith("Arrow")) {
      event.preventDefault();
      choose(chosen === -1 ? 0 : moved(layout, devices.length, chosen, event.key));
    }
  };

  const device = devices[chosen];
  return (
    <div ref={box} className="relative">
      <canvas
        ref={canvas}
        role="application"
        aria-label={mapLabel(devices)}
        tabIndex={0}
        style={{ width, height: layout.height }}
        className="block cursor-pointer rounded-md"
        onKeyDown={press}
        onBlur={() => choose(-1)}
        onPointerMove={(event) => choose(at(event))}
        onPointerLeave={() => choose(-1)}
        onClick={(event) => open(at(event))}
      />
      {device && (
        <span
          aria-hidden
          className="pointer-events-none absolute rounded-xs ring-2 ring-ink"
          style={{ ...placeOf(layout, chosen), width: layout.side, height: layout.side }}
        />
      )}
      <div aria-live="polite">
        {device && <Bubble device={device} layout={layout} index={chosen} width={width} />}
      </div>
    </div>
  );
}

const BUBBLE = 224;

function Bubble({
  device,
  layout,
  index,
  width,
}: {
  device: DeviceBrief;
  layout: Layout;
  index: number;
  width: number;
}) {
  const { left, top } = placeOf(layout, index);
  return (
    <div
      className="pointer-events-none absolute z-20 rounded-md border border-line bg-surface px-3 py-2 shadow-dialog"
      style={{
        left: Math.max(0, Math.min(left, width - BUBBLE)),
        top: top + layout.pitch + 4,
        width: BUBBLE,
      }}
    >
      <p className="break-words font-medium">{device.name}</p>
      <p className="text-muted text-xs">{useBriefState(device)}</p>
      {device.site && <p className="text-muted text-xs">{device.site}</p>}
    </div>
  );
}

/** What is known of it, in a few words. */
export function useBriefState(device: DeviceBrief): string {
  const now = useNow();
  if (device.status !== "unknown" || device.unknown_since == null) return t.devices.statuses[device.status];
  return t.devices.unknownSince(clock(device.unknown_since, now));
}

function mapLabel(devices: readonly DeviceBrief[]): string {
  const counts = countByStatus(devices);
  const told = STATUSES.filter((status) => counts[status] > 0).map(
    (status: DeviceStatus) => `${count(counts[status])} ${t.devices.statuses[status]}`,
  );
  return t.overview.mapLabel(count(devices.length), told.join(", "));
}
