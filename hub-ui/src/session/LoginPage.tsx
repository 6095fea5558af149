import { useMutation } from "@tanstack/react-query";
import { useSearch } from "@tanstack/react-router";
import { type FormEvent, type InputHTMLAttributes, useEffect } from "react";
import { answered, hub } from "@/api/client";
import { t } from "@/texts";
import { Button } from "@/ui/Button";
import { Problems } from "@/ui/Problems";
import { session } from "./session";

/** The way in; a session that starts here makes the router go on to the page that was wanted. */
export function LoginPage() {
  const { next } = useSearch({ from: "/login" });
  const login = useMutation({
    mutationFn: (body: { username: string; password: string }) =>
      answered(hub.POST("/api/v1/auth/login", { body })),
    onSuccess: (started) => session.start(started),
  });
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const fields = new FormData(event.currentTarget);
    login.mutate({ username: String(fields.get("username")), password: String(fields.get("password")) });
  };
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
        <form
          onSubmit={submit}
          className="space-y-4 rounded-xl border border-line bg-surface p-5 shadow-card"
        >
          {next && !login.error && <p className="text-muted">{t.login.again}</p>}
          {login.error && <Problems error={login.error} />}
          <Field label={t.login.username} name="username" autoComplete="username" />
          <Field label={t.login.password} name="password" type="password" autoComplete="current-password" />
          <Button type="submit" tone="main" className="min-h-10 w-full" disabled={login.isPending}>
            {login.isPending ? t.login.submitting : t.login.submit}
          </Button>
        </form>
      </div>
    </main>
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
