import { useQuery } from "@tanstack/react-query";
import { CircleCheck, CircleSlash } from "lucide-react";
import { useState } from "react";
import type { Account, Role } from "@/api/types";
import { session } from "@/session/session";
import { t } from "@/texts/people";
import { Badge } from "@/ui/Badge";
import { Confirm } from "@/ui/Confirm";
import { type Column, DataTable } from "@/ui/DataTable";
import { PasswordField, SelectField, TextField } from "@/ui/Field";
import { FormDialog } from "@/ui/FormDialog";
import { Loaded } from "@/ui/Loaded";
import { Page } from "@/ui/Page";
import { Ago } from "@/ui/Time";
import { addUser, changeUser, removeUser, resetPassword, usersQuery } from "./queries";
import { Rights } from "./Rights";

const ROLES: readonly Role[] = ["viewer", "operator", "admin"];
const SHORTEST = 12;

export function UsersPage() {
  const query = useQuery(usersQuery);
  return (
    <Page title={t.users.title} actions={<AddUser />}>
      <Loaded query={query}>
        {(users) => (
          <DataTable
            caption={t.users.caption}
            columns={COLUMNS}
            rows={users}
            rowKey={(user) => user.username}
          />
        )}
      </Loaded>
      <Rights />
    </Page>
  );
}

function roleChoices() {
  return ROLES.map((role) => ({ value: role, label: `${t.users.roles[role]}: ${t.users.roleTexts[role]}` }));
}

function AddUser() {
  const [username, setUsername] = useState("");
  const [role, setRole] = useState<string>("viewer");
  const [password, setPassword] = useState("");
  return (
    <FormDialog
      label={t.users.add}
      name={t.users.add}
      title={t.users.add}
      text={t.users.addText}
      action={t.users.add}
      look="main"
      ready={username !== "" && password.length >= SHORTEST}
      run={() => addUser({ username, role: role as Role, password })}
    >
      <TextField
        id="new-name"
        label={t.login.username}
        hint={t.users.nameHint}
        value={username}
        onChange={setUsername}
      />
      <SelectField
        id="new-role"
        label={t.users.role}
        value={role}
        onChange={setRole}
        choices={roleChoices()}
      />
      <PasswordField id="new-password" label={t.login.newPassword} value={password} onChange={setPassword} />
    </FormDialog>
  );
}

const COLUMNS: readonly Column<Account>[] = [
  {
    id: "name",
    header: t.users.columns.name,
    heading: true,
    cell: ({ username, provider }) => (
      <>
        <span className="font-medium">{username}</span>
        {username === session.get()?.username && <span className="text-muted"> {t.users.you}</span>}
        {provider && <p className="text-muted text-xs">{t.users.through(provider)}</p>}
      </>
    ),
  },
  { id: "role", header: t.users.columns.role, cell: ({ role }) => t.users.roles[role] },
  {
    id: "state",
    header: t.users.columns.state,
    cell: ({ disabled }) =>
      disabled ? (
        <Badge tone="bad" icon={CircleSlash}>
          {t.users.disabled}
        </Badge>
      ) : (
        <Badge tone="ok" icon={CircleCheck}>
          {t.users.enabled}
        </Badge>
      ),
  },
  { id: "since", header: t.users.columns.since, cell: ({ created_at }) => <Ago at={created_at} /> },
  {
    id: "change",
    header: t.users.columns.change,
    align: "right",
    cell: (user) => <Changes user={user} />,
  },
];

function Changes({ user }: { user: Account }) {
  const { username, disabled, provider } = user;
  const self = username === session.get()?.username;
  return (
    <span className="inline-flex flex-wrap justify-end gap-2">
      {!provider && <ChangeRole user={user} />}
      {!provider && <NewPassword username={username} />}
      {!self && (
        <>
          <Confirm
            label={disabled ? t.users.enable : t.users.disable}
            name={disabled ? t.users.enableName(username) : t.users.disableName(username)}
            title={disabled ? t.users.enableTitle(username) : t.users.disableTitle(username)}
            text={disabled ? t.users.enableText : t.users.disableText}
            action={disabled ? t.users.enableName(username) : t.users.disableName(username)}
            run={() => changeUser(username, { disabled: !disabled })}
          />
          <Confirm
            label={t.users.remove}
            name={t.users.removeName(username)}
            title={t.users.removeTitle(username)}
            text={t.users.removeText}
            action={t.users.removeName(username)}
            tone="danger"
            run={() => removeUser(username)}
          />
        </>
      )}
    </span>
  );
}

function ChangeRole({ user: { username, role: before } }: { user: Account }) {
  const [role, setRole] = useState<string>(before);
  return (
    <FormDialog
      label={t.users.role}
      name={t.users.roleName(username)}
      title={t.users.roleName(username)}
      text={t.users.roleText}
      action={t.users.change}
      ready={role !== before}
      run={() => changeUser(username, { role: role as Role })}
    >
      <SelectField id="role" label={t.users.role} value={role} onChange={setRole} choices={roleChoices()} />
    </FormDialog>
  );
}

function NewPassword({ username }: { username: string }) {
  const [password, setPassword] = useState("");
  return (
    <FormDialog
      label={t.users.password}
      name={t.users.passwordName(username)}
      title={t.users.passwordName(username)}
      text={t.users.passwordText}
      action={t.users.change}
      ready={password.length >= SHORTEST}
      run={() => resetPassword(username, password)}
    >
      <PasswordField id="password" label={t.login.newPassword} value={password} onChange={setPassword} />
    </FormDialog>
  );
}
