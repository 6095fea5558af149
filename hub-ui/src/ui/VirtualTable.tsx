import { useWindowVirtualizer } from "@tanstack/react-virtual";
import { type ReactNode, useEffect, useRef } from "react";
import { type Column, Row, TableHead } from "./DataTable";

interface Props<T> {
  caption: string;
  columns: readonly Column<T>[];
  rows: readonly T[];
  rowKey: (row: T) => string;
  /** How many rows there are in all, also those that are not loaded. */
  total: number;
  /** Near the end of what is loaded. */
  onEnd: () => void;
}

/** Pixels, before a row was measured. */
const ROW = 58;
const OVERSCAN = 12;
/** Pixels between the cards of a narrow screen, as `Row` has it. */
const GAP = 12;
const WIDE = "(min-width: 48rem)";
/** So many rows before the end of what is loaded, more is asked for. */
const AHEAD = 40;

/** A `DataTable` of any length: only the rows about the window are in the page. */
export function VirtualTable<T>({ caption, columns, rows, rowKey, total, onEnd }: Props<T>) {
  const body = useRef<HTMLTableSectionElement>(null);
  const virtual = useWindowVirtualizer({
    count: rows.length,
    estimateSize: () => ROW,
    overscan: OVERSCAN,
    gap: matchMedia(WIDE).matches ? 0 : GAP,
    scrollMargin: body.current?.offsetTop ?? 0,
    getItemKey: (index) => keyAt(rows, index, rowKey),
  });
  const shown = virtual.getVirtualItems();
  const last = shown.at(-1)?.index ?? 0;
  const more = rows.length < total && last >= rows.length - AHEAD;
  useEffect(() => {
    if (more) onEnd();
  }, [more, onEnd]);

  const margin = virtual.options.scrollMargin;
  const above = (shown[0]?.start ?? margin) - margin;
  const below = virtual.getTotalSize() - ((shown.at(-1)?.end ?? margin) - margin);
  return (
    <div className="md:overflow-x-auto md:rounded-lg md:border md:border-line md:bg-surface md:shadow-card">
      <table role="table" aria-rowcount={total + 1} className="block w-full md:table">
        <caption className="sr-only">{caption}</caption>
        <TableHead columns={columns} />
        <tbody ref={body} role="rowgroup" className="block md:table-row-group">
          <Space height={above} columns={columns.length} />
          {shown.map(({ index, key }) => {
            const row = rows[index];
            return (
              row && <Row key={key} ref={virtual.measureElement} index={index} columns={columns} row={row} />
            );
          })}
          <Space height={below} columns={columns.length} />
        </tbody>
      </table>
    </div>
  );
}

function keyAt<T>(rows: readonly T[], index: number, rowKey: (row: T) => string): string | number {
  const row = rows[index];
  return row ? rowKey(row) : index;
}

/** In place of the rows that are not in the page. */
function Space({ height, columns }: { height: number; columns: number }): ReactNode {
  if (height <= 0) return null;
  return (
    <tr aria-hidden className="block md:table-row">
      <td className="block p-0 md:table-cell" colSpan={columns} style={{ height }} />
    </tr>
  );
}
