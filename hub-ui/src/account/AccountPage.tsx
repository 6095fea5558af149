import { useMutation, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { answered, hub } from "@/api/client";
import type { OpenSession } from "@/api/types";
import { endSession, sessionsQuery } from "@/people/queries";
import { session } from "@/session/session";
import { t } from "@/texts/people";
import { Button } from "@/ui/Button";
import { Card } from "@/ui/Card";
import { Confirm } from "@/ui/Confirm";
import { type Column, DataTable } from "@/ui/DataTable";
import { PasswordField } from "@/ui/Field";
import { Loaded } from "@/ui/Loaded";
import { Page, Section } from "@/ui/Page";
import { Problems } from "@/ui/Problems";
import { Ago } from "@/ui/Time";
import { ApiTokens } from "./ApiTokens";

/** One's own password, tokens for programs, and where one is signed in. */
export function AccountPage() {
  const query = useQuery(sessionsQuery);
  return (
    <Page title={t.account.title} aside={<span className="text-muted">{session.get()?.username}</span>}>
      <div className="max-w-xl">
        <Password />
      </div>
      <ApiTokens />
      <Section title={t.account.sessions}>
        <Loaded query={query}>
          {(sessions) => (
            <DataTable
              caption={t.account.sessionsCaption}
              columns={COLUMNS}
              rows={sessions}
              rowKey={({ id }) => id}
            />
          )}
        </Loaded>
      </Section>
    </Page>
  );
}

const SHORTEST = 12;

function Password() {
  const [old, setOld] = useState("");
  const [next, setNext] = useState("");
  const change = useMutation({
    mutationFn: () =>
      session.replace(() =>
        answered(hub.POST("/api/v1/auth/password", { body: { old, new: next, cookie: true } })),
      ),
    onSuccess: () => {
      setOld("");
      setNext("");
    },
  });
  return (
    <Card title={t.account.password}>
      <form
        className="space-y-4"
        onSubmit={(event) => {
          event.preventDefault();
          change.mutate();
        }}
      >
        {change.error && <Problems error={change.error} />}
        {change.isSuccess && <p role="status">{t.account.changed}</p>}
        <PasswordField id="old" label={t.account.old} value={old} onChange={setOld} current />
        <PasswordField id="new" label={t.login.newPassword} value={next} onChange={setNext} />
        <Button type="submit" disabled={change.isPending || old === "" || next.length < SHORTEST}>
          {t.account.change}
        </Button>
      </form>
    </Card>
  );
}

const COLUMNS: readonly Column<OpenSession>[] = [
  {
    id: "program",
    header: t.account.columns.program,
    heading: true,
    cell: ({ agent, current }) => (
      <>
        <span className="line-clamp-2 max-w-120 break-words">{agent || t.account.unknown}</span>
        {current && <p className="text-muted text-xs">{t.account.thisOne}</p>}
      </>
    ),
  },
  { id: "address", header: t.account.columns.address, cell: ({ address }) => address },
  { id: "begun", header: t.account.columns.begun, cell: ({ begun_at }) => <Ago at={begun_at} /> },
  { id: "used", header: t.account.columns.used, cell: ({ used_at }) => <Ago at={used_at} /> },
  {
    id: "end",
    header: t.account.columns.end,
    align: "right",
    cell: ({ id, agent, current }) =>
      !current && (
        <Confirm
          label={t.account.endSession}
          name={t.account.endName(agent)}
          title={t.account.endTitle}
          text={t.account.endText(agent)}
          action={t.account.endSession}
          run={() => endSession(id)}
        />
      ),
  },
];
