import { Link } from "@tanstack/react-router";
import { ChevronLeft } from "lucide-react";
import type { ReactNode } from "react";

export function BackLink({ to, children }: { to: "/devices" | "/runs" | "/models"; children: ReactNode }) {
  return (
    <Link to={to} className="-ml-1 inline-flex items-center gap-0.5 py-1 text-muted hover:text-ink">
      <ChevronLeft aria-hidden className="size-4" />
      {children}
    </Link>
  );
}
