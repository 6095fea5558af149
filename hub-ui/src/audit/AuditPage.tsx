import { useInfiniteQuery, useMutation } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { CircleCheck, OctagonAlert } from "lucide-react";
import type { AuditEntry, Verdict } from "@/api/types";
import { count } from "@/format";
import { t } from "@/texts/audit";
import { Badge } from "@/ui/Badge";
import { Button } from "@/ui/Button";
import { Callout } from "@/ui/Callout";
import { Choices } from "@/ui/Choices";
import { type Column, DataTable } from "@/ui/DataTable";
import { SearchField } from "@/ui/Field";
import { Loaded } from "@/ui/Loaded";
import { Page } from "@/ui/Page";
import { Problems } from "@/ui/Problems";
import { ClockTime } from "@/ui/Time";
import { type AuditFilter, auditPagesQuery, verifyAudit } from "./queries";

const OUTCOMES = ["all", "done", "refused"] as const;

/** Who did what, who was refused, and what was changed from what to what. */
export function AuditPage() {
  const filter = useSearch({ from: "/signed-in/audit" });
  const query = useInfiniteQuery(auditPagesQuery(filter));
  return (
    <Page title={t.audit.title} actions={<Verify />}>
      <Filters filter={filter} />
      <Loaded query={query}>
        {({ pages }) => {
          const entries = pages.flatMap((page) => page.entries);
          return entries.length === 0 ? (
            <p className="text-muted">{t.audit.none}</p>
          ) : (
            <>
              <DataTable
                caption={t.audit.caption}
                columns={COLUMNS}
                rows={entries}
                rowKey={({ seq }) => seq}
              />
              {query.hasNextPage && (
                <Button
                  className="mt-4"
                  disabled={query.isFetchingNextPage}
                  onClick={() => void query.fetchNextPage()}
                >
                  {t.audit.older}
                </Button>
              )}
            </>
          );
        }}
      </Loaded>
    </Page>
  );
}

function Filters({ filter }: { filter: AuditFilter }) {
  const navigate = useNavigate({ from: "/audit" });
  const set = (key: "actor" | "subject" | "action", value: string) => {
    const { [key]: _, ...rest } = filter;
    void navigate({ search: value ? { ...rest, [key]: value } : rest, replace: true });
  };
  return (
    <search className="mb-4 flex flex-wrap items-center gap-2">
      <SearchField
        label={t.audit.actor}
        value={filter.actor ?? ""}
        onChange={(value) => set("actor", value)}
      />
      <SearchField
        label={t.audit.subject}
        value={filter.subject ?? ""}
        onChange={(value) => set("subject", value)}
      />
      <Choices
        label={t.audit.outcome}
        choices={OUTCOMES.map((each) => ({ value: each, label: t.audit.outcomes[each] }))}
        value={filter.outcome ?? "all"}
        onChange={(outcome) => {
          const { outcome: _, ...rest } = filter;
          void navigate({ search: outcome === "all" ? rest : { ...rest, outcome }, replace: true });
        }}
      />
    </search>
  );
}

/** Has the hub look at the whole chain, and says what it found. */
function Verify() {
  const verify = useMutation({ mutationFn: verifyAudit });
  return (
    <div className="flex flex-wrap items-center gap-3">
      <div role="status">
        {verify.data && <Found verdict={verify.data} />}
        {verify.error && <Problems error={verify.error} />}
      </div>
      <Button disabled={verify.isPending} onClick={() => verify.mutate()}>
        {verify.isPending ? t.audit.verifying : t.audit.verify}
      </Button>
    </div>
  );
}

function Found({ verdict: { end, broken } }: { verdict: Verdict }) {
  if (broken)
    return (
      <Callout tone="bad" icon={OctagonAlert} title={t.audit.broken}>
        <p>{broken.what}</p>
      </Callout>
    );
  return (
    <Badge tone="ok" icon={CircleCheck}>
      {t.audit.whole(count(end.seq))}
    </Badge>
  );
}

const COLUMNS: readonly Column<AuditEntry>[] = [
  {
    id: "action",
    header: t.audit.columns.action,
    heading: true,
    cell: ({ action, seq }) => (
      <>
        <span className="break-words font-mono text-[0.8125rem]">{action}</span>
        <p className="text-muted text-xs">{t.audit.number(count(seq))}</p>
      </>
    ),
  },
  {
    id: "who",
    header: t.audit.columns.actor,
    cell: ({ actor, address }) => (
      <>
        {actor || <span className="text-muted">{t.audit.nobody}</span>}
        {address && <p className="text-muted text-xs">{address}</p>}
      </>
    ),
  },
  {
    id: "subject",
    header: t.audit.columns.subject,
    cell: ({ subject }) => (
      <span className="wrap-anywhere font-mono text-[0.8125rem] md:inline-block md:min-w-40">{subject}</span>
    ),
  },
  {
    id: "detail",
    header: t.audit.columns.detail,
    cell: ({ detail, refused, changes }) => (
      <>
        <span className={`break-words ${refused ? "text-bad" : "text-muted"}`}>{detail}</span>
        {changes && <Changes text={changes} />}
      </>
    ),
  },
  { id: "when", header: t.audit.columns.when, cell: ({ at }) => <ClockTime at={at} /> },
];

/** `[[FIELD, OLD, NEW], ...]`, as the hub writes it. */
function Changes({ text }: { text: string }) {
  const changes = JSON.parse(text) as [string, unknown, unknown][];
  return (
    <ul className="mt-1 space-y-1">
      {changes.map(([field, old, after]) => (
        <li key={field} className="break-words text-[0.8125rem]">
          <span className="text-muted">{field}</span>{" "}
          <del className="rounded-sm bg-bad-soft px-1 font-mono text-bad no-underline">{valueText(old)}</del>{" "}
          <ins className="rounded-sm bg-ok-soft px-1 font-mono text-ok no-underline">{valueText(after)}</ins>
        </li>
      ))}
    </ul>
  );
}

function valueText(value: unknown): string {
  if (value === "" || value === null || (Array.isArray(value) && value.length === 0)) return t.none;
  return Array.isArray(value) ? value.join(", ") : String(value);
}
