import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import type { ApiToken, MadeApiToken, Permission } from "@/api/types";
import { duration } from "@/format";
import { apiTokensQuery, makeApiToken, revokeApiToken } from "@/people/queries";
import { usePermissions } from "@/session/may";
import { t } from "@/texts/people";
import { Command } from "@/ui/Command";
import { Confirm } from "@/ui/Confirm";
import { type Column, DataTable } from "@/ui/DataTable";
import { SelectField, TextField } from "@/ui/Field";
import { FormDialog } from "@/ui/FormDialog";
import { Loaded } from "@/ui/Loaded";
import { Section } from "@/ui/Page";
import { Ago, ClockTime } from "@/ui/Time";

/** Tokens by which programs call the hub in one's name, each with a scope of its own. */
export function ApiTokens() {
  const query = useQuery(apiTokensQuery);
  const [made, setMade] = useState<MadeApiToken | null>(null);
  return (
    <Section title={t.tokens.title}>
      <div className="mb-3 space-y-3">
        <Make made={setMade} />
        {made && (
          <div className="max-w-3xl" role="status">
            <Command where={t.tokens.once(made.about.name)} text={made.token} />
          </div>
        )}
      </div>
      <Loaded query={query}>
        {(tokens) =>
          tokens.length === 0 ? (
            <p className="text-muted">{t.tokens.none}</p>
          ) : (
            <DataTable caption={t.tokens.caption} columns={COLUMNS} rows={tokens} rowKey={({ id }) => id} />
          )
        }
      </Loaded>
    </Section>
  );
}

const DAY = 86_400;
const LIFETIMES = [7 * DAY, 30 * DAY, 90 * DAY, 366 * DAY];

function Make({ made }: { made: (token: MadeApiToken) => void }) {
  const mine = usePermissions().filter((each) => each !== "account:manage");
  const [name, setName] = useState("");
  const [lifetime, setLifetime] = useState(String(90 * DAY));
  const [scope, setScope] = useState<readonly Permission[]>([]);
  const toggle = (permission: Permission) =>
    setScope(
      scope.includes(permission) ? scope.filter((each) => each !== permission) : [...scope, permission],
    );
  return (
    <FormDialog
      label={t.tokens.make}
      name={t.tokens.make}
      title={t.tokens.make}
      text={t.tokens.makeText}
      action={t.tokens.make}
      ready={name.trim() !== "" && scope.length > 0}
      run={async () => {
        made(await makeApiToken({ name: name.trim(), scope: [...scope], lifetime: Number(lifetime) }));
        setName("");
        setScope([]);
      }}
    >
      <TextField
        id="token-name"
        label={t.tokens.name}
        hint={t.tokens.nameHint}
        value={name}
        onChange={setName}
      />
      <SelectField
        id="token-lifetime"
        label={t.tokens.lifetime}
        value={lifetime}
        onChange={setLifetime}
        choices={LIFETIMES.map((seconds) => ({ value: String(seconds), label: duration(seconds) }))}
      />
      <fieldset>
        <legend className="mb-1 font-medium">{t.tokens.scope}</legend>
        <div className="max-h-56 space-y-1 overflow-y-auto rounded-md border border-line p-2">
          {mine.map((permission) => (
            <label key={permission} className="flex items-center gap-2">
              <input
                type="checkbox"
                checked={scope.includes(permission)}
                onChange={() => toggle(permission)}
                className="size-4 accent-accent-fill"
              />
              <span>{t.users.permissions[permission] ?? permission}</span>
              <span className="ml-auto font-mono text-muted text-xs">{permission}</span>
            </label>
          ))}
        </div>
      </fieldset>
    </FormDialog>
  );
}

const COLUMNS: readonly Column<ApiToken>[] = [
  {
    id: "name",
    header: t.tokens.columns.name,
    heading: true,
    cell: ({ name, username }) => (
      <>
        <span className="font-medium">{name}</span>
        <p className="text-muted text-xs">{username}</p>
      </>
    ),
  },
  {
    id: "scope",
    header: t.tokens.columns.scope,
    cell: ({ scope }) => <span className="break-words font-mono text-xs">{scope.join(", ")}</span>,
  },
  {
    id: "used",
    header: t.tokens.columns.used,
    cell: ({ last_used }) =>
      last_used == null ? <span className="text-muted">{t.tokens.never}</span> : <Ago at={last_used} />,
  },
  { id: "until", header: t.tokens.columns.until, cell: ({ expires_at }) => <ClockTime at={expires_at} /> },
  {
    id: "revoke",
    header: t.tokens.columns.revoke,
    align: "right",
    cell: ({ id, name }) => (
      <Confirm
        label={t.tokens.revoke}
        name={t.tokens.revokeName(name)}
        title={t.tokens.revokeTitle(name)}
        text={t.tokens.revokeText}
        action={t.tokens.revokeName(name)}
        tone="danger"
        run={() => revokeApiToken(id)}
      />
    ),
  },
];
