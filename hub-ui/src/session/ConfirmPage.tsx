import { useMutation, useQuery } from "@tanstack/react-query";
import { useParams } from "@tanstack/react-router";
import { CircleCheck, CircleX } from "lucide-react";
import { answered, hub } from "@/api/client";
import { t } from "@/texts";
import { Button } from "@/ui/Button";
import { Callout } from "@/ui/Callout";
import { Loaded } from "@/ui/Loaded";
import { Page } from "@/ui/Page";
import { Problems } from "@/ui/Problems";

type Decision = "confirm" | "refuse";

/** A command line elsewhere asks to act for whoever is signed in here; nothing happens before it is said so. */
export function ConfirmPage() {
  const { code } = useParams({ from: "/signed-in/confirm/$code" });
  const params = { path: { code } };
  const asked = useQuery({
    queryKey: ["terminal-login", code],
    queryFn: ({ signal }) => answered(hub.GET("/api/v1/auth/terminal-logins/{code}", { params, signal })),
    retry: false,
  });
  const decide = useMutation({
    mutationFn: (decision: Decision) =>
      answered(
        decision === "confirm"
          ? hub.POST("/api/v1/auth/terminal-logins/{code}/confirm", { params })
          : hub.POST("/api/v1/auth/terminal-logins/{code}/refuse", { params }),
      ),
  });
  return (
    <Page title={t.confirm.title}>
      {decide.isSuccess ? (
        <Decided decision={decide.variables} />
      ) : (
        <Loaded query={asked}>
          {({ address, code: shown }) => (
            <div className="max-w-xl space-y-4 rounded-xl border border-line bg-surface p-5 shadow-card">
              <p>{t.confirm.lead(address)}</p>
              <p className="font-mono font-semibold text-2xl tracking-widest">{shown}</p>
              <p className="text-muted">{t.confirm.warning}</p>
              {decide.error && <Problems error={decide.error} />}
              <div className="flex flex-wrap justify-end gap-2">
                <Button tone="plain" disabled={decide.isPending} onClick={() => decide.mutate("refuse")}>
                  {t.confirm.refuse}
                </Button>
                <Button tone="main" disabled={decide.isPending} onClick={() => decide.mutate("confirm")}>
                  {t.confirm.confirm}
                </Button>
              </div>
            </div>
          )}
        </Loaded>
      )}
    </Page>
  );
}

function Decided({ decision }: { decision: Decision }) {
  return decision === "confirm" ? (
    <Callout tone="info" icon={CircleCheck} title={t.confirm.confirmed}>
      <p>{t.confirm.confirmedHint}</p>
    </Callout>
  ) : (
    <Callout tone="warn" icon={CircleX} title={t.confirm.refused}>
      <p>{t.confirm.refusedHint}</p>
    </Callout>
  );
}
