import type { ReactNode, Ref } from "react";

export interface Column<T> {
  id: string;
  /** A line break separates what is measured from where. */
  header: string;
  cell: (row: T) => ReactNode;
  align?: "right";
  /** On a narrow screen: the row's heading, without a label. */
  heading?: boolean;
}

/** Columns that fit a usual screen with air between them. */
const ROOMY = 9;

interface Props<T> {
  caption: string;
  columns: readonly Column<T>[];
  rows: readonly T[];
  rowKey: (row: T) => string | number;
}

/**
 * A table on a wide screen and a list of cards on a narrow one. The roles are spelled out because a table that is not
 * displayed as one loses them in some browsers.
 */
export function DataTable<T>({ caption, columns, rows, rowKey }: Props<T>) {
  return (
    <div className="md:overflow-x-auto md:rounded-lg md:border md:border-line md:bg-surface md:shadow-card">
      <table role="table" data-dense={columns.length > ROOMY} className="group block w-full md:table">
        <caption className="sr-only">{caption}</caption>
        <TableHead columns={columns} />
        <tbody role="rowgroup" className="block md:table-row-group">
          {rows.map((row) => (
            <Row key={rowKey(row)} columns={columns} row={row} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

export function TableHead<T>({ columns }: { columns: readonly Column<T>[] }) {
  return (
    <thead role="rowgroup" className="sr-only md:not-sr-only md:table-header-group">
      <tr role="row" className="md:border-line md:border-b">
        {columns.map((column) => (
          <th
            key={column.id}
            role="columnheader"
            scope="col"
            className={`whitespace-pre px-4 py-2.5 font-medium text-muted text-xs group-data-[dense=true]:px-2.5 ${side(column)}`}
          >
            {column.header}
          </th>
        ))}
      </tr>
    </thead>
  );
}

interface RowProps<T> {
  columns: readonly Column<T>[];
  row: T;
  /** In a table of which only a part is in the page: its place there, from 0. */
  index?: number;
  ref?: Ref<HTMLTableRowElement>;
}

export function Row<T>({ columns, row, index, ref }: RowProps<T>) {
  return (
    <tr
      ref={ref}
      role="row"
      {...(index !== undefined && { "data-index": index, "aria-rowindex": index + 2 })}
      className="mb-3 block rounded-lg border border-line bg-surface px-4 py-3 shadow-card last:mb-0 md:table-row md:rounded-none md:border-0 md:border-line md:border-b md:shadow-none md:last:border-b-0 md:hover:bg-raised/60"
    >
      {columns.map((column) => (
        <Cell key={column.id} column={column}>
          {column.cell(row)}
        </Cell>
      ))}
    </tr>
  );
}

function Cell<T>({ column, children }: { column: Column<T>; children: ReactNode }) {
  if (column.heading) {
    return (
      <td
        role="cell"
        className="block pb-1.5 align-top md:table-cell md:px-4 md:py-2.5 md:group-data-[dense=true]:px-2.5"
      >
        {children}
      </td>
    );
  }
  const display = children ? "flex" : "hidden"; // a card needs no label for what is not there
  return (
    <td
      role="cell"
      className={`${display} justify-between gap-4 py-1 align-top md:table-cell md:px-4 md:py-2.5 md:group-data-[dense=true]:px-2.5 ${side(column)}`}
    >
      <span aria-hidden className="shrink-0 text-muted md:hidden">
        {column.header}
      </span>
      <div className="min-w-0 text-right md:[text-align:inherit]">{children}</div>
    </td>
  );
}

function side<T>(column: Column<T>): string {
  return column.align === "right" ? "md:text-right" : "md:text-left";
}
