import type { UseQueryResult } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { t } from "@/texts";
import { Problems } from "./Problems";

/** Waits, explains or shows: data that is there is shown even when a later load failed. */
export function Loaded<T>({
  query,
  silent = false,
  children,
}: {
  query: UseQueryResult<T>;
  /** For what is often nothing: no place is kept for it while it loads. */
  silent?: boolean;
  children: (data: T) => ReactNode;
}) {
  if (query.data !== undefined) return children(query.data);
  if (query.isError) return <Problems error={query.error} retry={() => void query.refetch()} />;
  if (silent) return null;
  return <Waiting />;
}

/** In place of what is on its way. */
export function Waiting() {
  return (
    <div role="status" aria-label={t.loading} className="animate-pulse-soft space-y-2.5">
      {["w-full", "w-11/12", "w-4/5"].map((width) => (
        <div key={width} className={`h-10 rounded-md bg-raised ${width}`} />
      ))}
    </div>
  );
}
