import { useMutation, useQuery } from "@tanstack/react-query";
import { useSearch } from "@tanstack/react-router";
import { type FormEvent, type InputHTMLAttributes, type ReactNode, useEffect } from "react";
import { answered, hub } from "@/api/client";
import type { Session } from "@/api/types";
import { duration } from "@/format";
import { t } from "@/texts";
import { Button, buttonLook } from "@/ui/Button";
import { Problems } from "@/ui/Problems";
import { session } from "./session";
import { useWait } from "./wait";

/** The way in; a session that starts here makes the router go on to the page that was wanted. */
export function LoginPage() {
  const ways = useQuery({
    queryKey: ["ways"],
    queryFn: () => answered(hub.GET("/api/v1/auth/ways")),
    retry: false,
  });
  useEffect(() => {
    document.title = `${t.login.title} · ${t.brand}`;
  }, []);

  return (
    <main className="grid min-h-dvh place-items-center px-4 py-10">
      <div className="w-full max-w-sm">
        <div className="mb-6 flex items-center gap-3">
          <img src="/flip.svg" alt="" className="size-10" />
          <div>
            <h1 className="font-semibold text-xl tracking-tight">{t.login.title}</h1>
            <p className="text-muted">{t.login.lead}</p>
          </div>
        </div>
        {ways.data?.setup ? <Setup /> : <Login provider={ways.data?.oidc ?? ""} />}
      </div>
    </main>
  );
}

function Login({ provider }: { provider: string }) {
  const { next } = useSearch({ from: "/login" });
  const login = useMutation({
    mutationFn: (fields: FormData) =>
      answered(
        hub.POST("/api/v1/auth/login", {
          body: { username: text(fields, "username"), password: text(fields, "password"), cookie: true },
        }),
      ),
    onSuccess: (started: Session) => session.start(started),
  });
  const wait = useWait(login.error);
  return (
    <Form onFields={login.mutate}>
      {next && !login.error && <p className="text-muted">{t.login.again}</p>}
      {login.error && <Problems error={login.error} />}
      <Field label={t.login.username} name="username" autoComplete="username" />
      <Field label={t.login.password} name="password" type="password" autoComplete="current-password" />
      <Button type="submit" tone="main" className="min-h-10 w-full" disabled={login.isPending || wait > 0}>
        {wait > 0 ? t.login.wait(duration(wait)) : login.isPending ? t.login.submitting : t.login.submit}
      </Button>
      {provider && (
        <>
          <p className="text-center text-muted">{t.login.or}</p>
          <a
            className={`${buttonLook("plain")} min-h-10 w-full`}
            href={`/api/v1/auth/oidc/login?next=${encodeURIComponent(next ?? "/")}`}
          >
            {t.login.provider(provider)}
          </a>
        </>
      )}
    </Form>
  );
}

/** While nobody has an account. */
function Setup() {
  const setup = useMutation({
    mutationFn: (fields: FormData) =>
      answered(
        hub.POST("/api/v1/auth/setup", {
          body: {
            code: text(fields, "code"),
            username: text(fields, "username"),
            password: text(fields, "password"),
            cookie: true,
          },
        }),
      ),
    onSuccess: (started: Session) => session.start(started),
  });
  return (
    <Form onFields={setup.mutate}>
      <p>{t.login.setupLead}</p>
      {setup.error && <Problems error={setup.error} />}
      <Field label={t.login.code} name="code" autoComplete="off" />
      <p className="text-muted">{t.login.codeHint}</p>
      <Field label={t.login.username} name="username" autoComplete="username" />
      <Field
        label={t.login.newPassword}
        name="password"
        type="password"
        minLength={12}
        autoComplete="new-password"
      />
      <Button type="submit" tone="main" className="min-h-10 w-full" disabled={setup.isPending}>
        {t.login.setup}
      </Button>
    </Form>
  );
}

function Form({ onFields, children }: { onFields: (fields: FormData) => void; children: ReactNode }) {
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    onFields(new FormData(event.currentTarget));
  };
  return (
    <form onSubmit={submit} className="space-y-4 rounded-xl border border-line bg-surface p-5 shadow-card">
      {children}
    </form>
  );
}

function Field({ label, ...props }: InputHTMLAttributes<HTMLInputElement> & { label: string }) {
  return (
    <label className="block">
      <span className="mb-1 block font-medium">{label}</span>
      <input required {...props} className="h-10 w-full rounded-md border border-edge bg-surface px-3" />
    </label>
  );
}

function text(fields: FormData, name: string): string {
  return String(fields.get(name));
}
