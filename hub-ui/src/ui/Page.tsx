import { type ReactNode, useEffect } from "react";
import { t } from "@/texts";

interface Props {
  title: string;
  /** Before the title: where one came from. */
  above?: ReactNode;
  /** Beside the title: a state, a number. */
  aside?: ReactNode;
  actions?: ReactNode;
  children: ReactNode;
}

/** One page: its heading, what can be done with it as a whole, and its title in the browser. */
export function Page({ title, above, aside, actions, children }: Props) {
  useEffect(() => {
    document.title = `${title} · ${t.brand}`;
  }, [title]);
  return (
    <>
      {above && <div className="mb-1.5">{above}</div>}
      <div className="mb-5 flex flex-wrap items-center gap-x-3 gap-y-2">
        <h1 className="min-w-0 break-words font-semibold text-xl tracking-tight">{title}</h1>
        {aside}
        {actions && <div className="ml-auto flex flex-wrap justify-end gap-2">{actions}</div>}
      </div>
      {children}
    </>
  );
}

export function Section({ title, children }: { title: string; children: ReactNode }) {
  return (
    <section className="mt-8">
      <h2 className="mb-3 font-semibold text-base tracking-tight">{title}</h2>
      {children}
    </section>
  );
}
