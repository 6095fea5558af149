import type { LucideIcon } from "lucide-react";
import type { ReactNode } from "react";

/** A page without content yet: what would be here, and the next command to run. */
export function Empty({
  icon: Icon,
  title,
  text,
  children,
}: {
  icon: LucideIcon;
  title: string;
  text: string;
  children?: ReactNode;
}) {
  return (
    <div className="mx-auto mt-4 max-w-xl rounded-lg border border-line border-dashed px-5 py-10 text-center md:mt-10">
      <Icon aria-hidden className="mx-auto size-8 text-muted" strokeWidth={1.5} />
      <h2 className="mt-3 font-semibold text-base">{title}</h2>
      <p className="mt-1 text-muted">{text}</p>
      {children && <div className="mt-5 space-y-3">{children}</div>}
    </div>
  );
}
