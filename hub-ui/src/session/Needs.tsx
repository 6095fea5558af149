import { Lock } from "lucide-react";
import type { ReactNode } from "react";
import type { Permission } from "@/api/types";
import { t } from "@/texts";
import { Callout } from "@/ui/Callout";
import { usePermissions } from "./may";

/** A page for those who may do what it is for; others are told so, and nothing is asked that would be refused. */
export function Needs({ permission, children }: { permission: Permission; children: ReactNode }) {
  const permissions = usePermissions();
  if (permissions.length === 0) return null; // not known yet
  if (permissions.includes(permission)) return children;
  return (
    <Callout tone="info" icon={Lock} title={t.notAllowed.title}>
      <p>{t.notAllowed.text(permission)}</p>
    </Callout>
  );
}
