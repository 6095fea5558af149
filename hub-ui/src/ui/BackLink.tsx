import { Link } from "@tanstack/react-router";
import { ChevronLeft } from "lucide-react";
import type { ReactNode } from "react";

type Target = { to: "/devices" | "/runs" | "/models" } | { to: "/models/$name"; params: { name: string } };

export function BackLink({ children, ...target }: Target & { children: ReactNode }) {
  return (
    <Link {...target} className="-ml-1 inline-flex items-center gap-0.5 py-1 text-muted hover:text-ink">
      <ChevronLeft aria-hidden className="size-4" />
      {children}
    </Link>
  );
}
