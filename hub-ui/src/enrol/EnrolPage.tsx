import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import type { EnrolmentToken } from "@/api/types";
import { Needs } from "@/session/Needs";
import { t } from "@/texts/enrol";
import { BackLink } from "@/ui/BackLink";
import { Button } from "@/ui/Button";
import { Card } from "@/ui/Card";
import { SelectField, TextField } from "@/ui/Field";
import { Page } from "@/ui/Page";
import { Problems } from "@/ui/Problems";
import { Commands } from "./Commands";
import { createToken } from "./queries";
import { Tokens } from "./Tokens";
import { Waiting } from "./Waiting";

/** Three steps: a token, the command to run on the device, and the device as it appears. */
export function EnrolPage() {
  const [token, setToken] = useState<EnrolmentToken | null>(null);
  return (
    <Page title={t.enrol.title} above={<BackLink to="/devices">{t.back.devices}</BackLink>}>
      <Needs permission="devices:enrol">
        <div className="max-w-4xl space-y-6">
          <Card title={t.enrol.first}>
            {token ? <Made token={token} again={() => setToken(null)} /> : <TokenForm made={setToken} />}
          </Card>
          {token && (
            <>
              <Card title={t.enrol.second}>
                <Commands token={token} />
              </Card>
              <Card title={t.enrol.third}>
                <Waiting token={token} />
              </Card>
            </>
          )}
          <Tokens />
        </div>
      </Needs>
    </Page>
  );
}

const HOUR = 3600;
const LIFETIMES = [HOUR, 24 * HOUR, 7 * 24 * HOUR, 30 * 24 * HOUR];

function TokenForm({ made }: { made: (token: EnrolmentToken) => void }) {
  const [uses, setUses] = useState("1");
  const [lifetime, setLifetime] = useState(String(HOUR));
  const [site, setSite] = useState("");
  const [tags, setTags] = useState("");
  const create = useMutation({
    mutationFn: () =>
      createToken({
        uses: Number(uses),
        lifetime: Number(lifetime),
        site: site.trim(),
        tags: tags
          .split(",")
          .map((tag) => tag.trim())
          .filter(Boolean),
      }),
    onSuccess: made,
  });
  const lifetimes = LIFETIMES.map((seconds) => ({
    value: String(seconds),
    label: t.enrol.lifetimes(seconds),
  }));
  return (
    <form
      className="space-y-4"
      onSubmit={(event) => {
        event.preventDefault();
        create.mutate();
      }}
    >
      {create.error && <Problems error={create.error} />}
      <div className="grid gap-4 sm:grid-cols-2">
        <TextField
          id="uses"
          label={t.enrol.uses}
          hint={t.enrol.usesHint}
          value={uses}
          onChange={setUses}
          inputMode="numeric"
          required
        />
        <SelectField
          id="lifetime"
          label={t.enrol.lifetime}
          value={lifetime}
          onChange={setLifetime}
          choices={lifetimes}
        />
        <TextField id="site" label={t.enrol.site} hint={t.enrol.siteHint} value={site} onChange={setSite} />
        <TextField id="tags" label={t.enrol.tags} hint={t.enrol.tagsHint} value={tags} onChange={setTags} />
      </div>
      <Button type="submit" tone="main" disabled={create.isPending || !(Number(uses) >= 1)}>
        {t.enrol.create}
      </Button>
    </form>
  );
}

function Made({ token, again }: { token: EnrolmentToken; again: () => void }) {
  return (
    <div className="flex flex-wrap items-center justify-between gap-3">
      <p>{t.enrol.made(token.uses, token.expires_at)}</p>
      <Button onClick={again}>{t.enrol.another}</Button>
    </div>
  );
}
