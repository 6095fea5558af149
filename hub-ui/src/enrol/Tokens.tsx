import { useQuery } from "@tanstack/react-query";
import type { ListedToken } from "@/api/types";
import { queryClient } from "@/app/query-client";
import { count } from "@/format";
import { t } from "@/texts/enrol";
import { Confirm } from "@/ui/Confirm";
import { type Column, DataTable } from "@/ui/DataTable";
import { Loaded } from "@/ui/Loaded";
import { Section } from "@/ui/Page";
import { Ago, ClockTime, useNow } from "@/ui/Time";
import { revokeToken, tokensQuery } from "./queries";

/** Tokens that devices could still use, or could until lately; nothing while there is none. */
export function Tokens() {
  const query = useQuery(tokensQuery);
  return (
    <Loaded query={query} silent>
      {(tokens) =>
        tokens.length > 0 && (
          <Section title={t.enrol.tokens}>
            <DataTable
              caption={t.enrol.tokensCaption}
              columns={COLUMNS}
              rows={tokens}
              rowKey={(token) => token.id}
            />
          </Section>
        )
      }
    </Loaded>
  );
}

const COLUMNS: readonly Column<ListedToken>[] = [
  {
    id: "id",
    header: t.enrol.columns.token,
    heading: true,
    cell: ({ id }) => <span className="font-mono">{id}</span>,
  },
  {
    id: "by",
    header: t.enrol.columns.by,
    cell: ({ created_by, created_at }) => (
      <>
        {created_by}, <Ago at={created_at} />
      </>
    ),
  },
  {
    id: "left",
    header: t.enrol.columns.left,
    cell: ({ left, uses }) => t.enrol.leftOf(count(left), count(uses)),
  },
  {
    id: "given",
    header: t.enrol.columns.given,
    cell: ({ site, tags }) => [site, ...tags].filter(Boolean).join(", ") || t.none,
  },
  { id: "state", header: t.enrol.columns.until, cell: (token) => <Until token={token} /> },
  { id: "revoke", header: t.enrol.columns.revoke, align: "right", cell: (token) => <Revoke token={token} /> },
];

function Until({ token: { expires_at, revoked_at, left } }: { token: ListedToken }) {
  const now = useNow();
  if (revoked_at !== null) return <span className="text-bad">{t.enrol.revoked}</span>;
  if (left === 0) return <span className="text-muted">{t.enrol.usedUp}</span>;
  return expires_at > now ? (
    <ClockTime at={expires_at} />
  ) : (
    <span className="text-muted">{t.enrol.expired}</span>
  );
}

function Revoke({ token: { id, expires_at, revoked_at, left } }: { token: ListedToken }) {
  const now = useNow();
  if (revoked_at !== null || expires_at < now || left === 0) return null;
  return (
    <Confirm
      label={t.enrol.revoke}
      name={t.enrol.revokeName(id)}
      title={t.enrol.revokeTitle(id)}
      text={t.enrol.revokeText}
      action={t.enrol.revokeName(id)}
      tone="danger"
      run={async () => {
        await revokeToken(id);
        await queryClient.invalidateQueries({ queryKey: tokensQuery.queryKey });
      }}
    />
  );
}
