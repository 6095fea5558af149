import { Tabs } from "@base-ui/react/tabs";
import type { EnrolmentToken } from "@/api/types";
import { t } from "@/texts/enrol";
import { Command } from "@/ui/Command";
import { commandFor, waysFor } from "./commands";

/** One command for each way to install; the token is in it, and shown only now. */
export function Commands({ token }: { token: EnrolmentToken }) {
  const ways = waysFor(token);
  return (
    <div className="space-y-4">
      <Tabs.Root defaultValue={ways[0]}>
        <Tabs.List aria-label={t.enrol.ways} className="mb-3 flex flex-wrap gap-1.5">
          {ways.map((way) => (
            <Tabs.Tab
              key={way}
              value={way}
              className="h-9 rounded-md border border-line px-3 hover:border-edge aria-selected:border-accent aria-selected:bg-accent-soft"
            >
              {t.enrol.way[way]}
            </Tabs.Tab>
          ))}
        </Tabs.List>
        {ways.map((way) => (
          <Tabs.Panel key={way} value={way}>
            <Command where={t.enrol.wayText[way]} text={commandFor(way, token, location.origin)} />
          </Tabs.Panel>
        ))}
      </Tabs.Root>
      {token.ca_sha256 ? (
        <div>
          <p className="text-muted text-xs">{t.enrol.fingerprint}</p>
          <code className="break-all font-mono text-[0.8125rem]">{token.ca_sha256}</code>
        </div>
      ) : (
        location.protocol === "https:" && <p className="text-muted text-xs">{t.enrol.noFingerprint}</p>
      )}
      <p className="text-muted text-xs">{t.enrol.once}</p>
    </div>
  );
}
