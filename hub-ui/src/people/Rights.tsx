import { useQuery } from "@tanstack/react-query";
import { Check, Minus } from "lucide-react";
import type { Permission, Role } from "@/api/types";
import { t } from "@/texts/people";
import { type Column, DataTable } from "@/ui/DataTable";
import { Loaded } from "@/ui/Loaded";
import { Section } from "@/ui/Page";
import { rolesQuery } from "./roles";

/** What each role may, as the hub says it. */
export function Rights() {
  const query = useQuery(rolesQuery);
  return (
    <Section title={t.users.rights}>
      <Loaded query={query}>
        {(roles) => {
          const permissions = [...new Set(roles.flatMap((each) => each.permissions))].sort();
          return (
            <DataTable
              caption={t.users.rightsCaption}
              columns={[PERMISSION, ...roles.map(({ role, permissions: granted }) => column(role, granted))]}
              rows={permissions}
              rowKey={(permission) => permission}
            />
          );
        }}
      </Loaded>
    </Section>
  );
}

const PERMISSION: Column<Permission> = {
  id: "permission",
  header: t.users.permission,
  heading: true,
  cell: (permission) => (
    <>
      <span>{t.users.permissions[permission] ?? permission}</span>
      <p className="font-mono text-muted text-xs">{permission}</p>
    </>
  ),
};

function column(role: Role, granted: readonly Permission[]): Column<Permission> {
  return {
    id: role,
    header: t.users.roles[role],
    cell: (permission) =>
      granted.includes(permission) ? (
        <Check role="img" aria-label={t.users.may} className="inline size-4 text-ok" />
      ) : (
        <Minus role="img" aria-label={t.users.mayNot} className="inline size-4 text-muted" />
      ),
  };
}
