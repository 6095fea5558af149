import { Eraser } from "lucide-react";
import { type PointerEvent, useRef } from "react";
import { t } from "@/texts/model";
import { Button } from "@/ui/Button";

interface Props {
  /** Pixels of the picture's side. */
  side: number;
  /** Of a pixel that is full. */
  scale: number;
  onDrawn: (pixels: number[]) => void;
}

/** Screen pixels. */
const SIZE = 224;

/** A square to draw in, light on dark as such pictures mostly are; what is drawn becomes so many pixels. */
export function DrawPad({ side, scale, onDrawn }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const draw = (event: PointerEvent<HTMLCanvasElement>) => {
    if (event.buttons === 0) return;
    const context = event.currentTarget.getContext("2d");
    const place = event.currentTarget.getBoundingClientRect();
    if (!context) return;
    const [x, y] = [event.clientX - place.left, event.clientY - place.top];
    context.strokeStyle = "white";
    context.lineWidth = (SIZE / side) * 1.6;
    context.lineCap = "round";
    context.beginPath();
    context.moveTo(x - event.movementX, y - event.movementY);
    context.lineTo(x, y);
    context.stroke();
    onDrawn(pixelsOf(event.currentTarget, side, scale));
  };
  const clear = () => {
    canvas.current?.getContext("2d")?.clearRect(0, 0, SIZE, SIZE);
    onDrawn([]);
  };
  return (
    <div className="space-y-2">
      <canvas
        ref={canvas}
        width={SIZE}
        height={SIZE}
        aria-label={t.model.try.pad}
        onPointerDown={draw}
        onPointerMove={draw}
        className="cursor-crosshair touch-none rounded-md border border-edge bg-black"
      />
      <Button onClick={clear}>
        <Eraser aria-hidden className="size-4" />
        {t.model.try.clear}
      </Button>
    </div>
  );
}

/** How full each of the picture's pixels is drawn. */
function pixelsOf(drawn: HTMLCanvasElement, side: number, scale: number): number[] {
  const small = document.createElement("canvas");
  small.width = side;
  small.height = side;
  const context = small.getContext("2d");
  if (!context) return [];
  context.drawImage(drawn, 0, 0, side, side);
  const { data } = context.getImageData(0, 0, side, side);
  return Array.from({ length: side * side }, (_, index) => ((data[4 * index + 3] ?? 0) / 255) * scale);
}
