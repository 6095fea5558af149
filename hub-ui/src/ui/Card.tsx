import type { ReactNode } from "react";

/** A part of a page that stands by itself. */
export function Card({
  title,
  action,
  children,
}: {
  title: string;
  action?: ReactNode;
  children: ReactNode;
}) {
  return (
    <section className="rounded-lg border border-line bg-surface p-4 shadow-card">
      <div className="mb-3 flex items-baseline justify-between gap-3">
        <h2 className="font-semibold text-base tracking-tight">{title}</h2>
        {action}
      </div>
      {children}
    </section>
  );
}
