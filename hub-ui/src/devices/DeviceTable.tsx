import { useInfiniteQuery } from "@tanstack/react-query";
import type { Device } from "@/api/types";
import { t } from "@/texts";
import type { Column } from "@/ui/DataTable";
import { Loaded } from "@/ui/Loaded";
import { VirtualTable } from "@/ui/VirtualTable";
import { COLUMNS } from "./columns";
import type { DeviceFilter } from "./filter";
import { devicePagesQuery } from "./queries";

interface Selection {
  selected: ReadonlySet<string>;
  select: (ids: ReadonlySet<string>) => void;
}

/** The devices that fit, a page at a time as one scrolls; `selection` for those who may do something with them. */
export function DeviceTable({
  filter,
  total,
  selection,
}: {
  filter: DeviceFilter;
  total: number;
  selection?: Selection;
}) {
  const query = useInfiniteQuery(devicePagesQuery(filter));
  const columns = selection ? [selecting(selection), ...COLUMNS] : COLUMNS;
  return (
    <Loaded query={query}>
      {({ pages }) => (
        <VirtualTable
          caption={t.devices.caption}
          columns={columns}
          rows={pages.flatMap(({ devices }) => devices)}
          rowKey={(device) => device.id}
          total={total}
          onEnd={query.fetchNextPage}
        />
      )}
    </Loaded>
  );
}

function selecting({ selected, select }: Selection): Column<Device> {
  return {
    id: "select",
    header: t.devices.select,
    cell: ({ id, name }) => (
      <input
        type="checkbox"
        aria-label={t.devices.selectOne(name)}
        checked={selected.has(id)}
        onChange={() => select(toggled(selected, id))}
        className="size-4 accent-accent-fill"
      />
    ),
  };
}

function toggled(selected: ReadonlySet<string>, id: string): ReadonlySet<string> {
  const after = new Set(selected);
  if (!after.delete(id)) after.add(id);
  return after;
}
