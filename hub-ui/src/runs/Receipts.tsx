import { useQuery } from "@tanstack/react-query";
import type { ReceiptSeal, Run } from "@/api/types";
import { count } from "@/format";
import { t } from "@/texts/run";
import { Command } from "@/ui/Command";
import { Fact } from "@/ui/Fact";
import { Loaded } from "@/ui/Loaded";
import { Section } from "@/ui/Page";
import { ClockTime } from "@/ui/Time";
import { isOver } from "./progress";
import { sealQuery } from "./queries";

/** Where the chain of a run's receipts ends, and how anybody checks it. */
export function Receipts({ run }: { run: Run }) {
  const query = useQuery(sealQuery(run.id));
  return (
    <Loaded query={query} silent>
      {(seal) => (
        <Section title={t.receipts.title}>
          {seal.entries > 0 ? (
            <Chain seal={seal} />
          ) : (
            <p className="text-muted">{isOver(run) ? t.receipts.noneEver : t.receipts.none}</p>
          )}
        </Section>
      )}
    </Loaded>
  );
}

function Chain({ seal }: { seal: ReceiptSeal }) {
  const file = `${seal.run_id}.receipts`;
  return (
    <div className="space-y-3 rounded-lg border border-line bg-surface px-4 py-3 shadow-card">
      <dl className="flex flex-wrap gap-x-10 gap-y-3">
        <Fact name={t.receipts.entries}>{count(seal.entries)}</Fact>
        <Fact name={t.receipts.seal}>
          {seal.final ? (
            <>
              {t.receipts.sealed}
              <ClockTime at={seal.at} />
            </>
          ) : (
            t.receipts.open
          )}
        </Fact>
        <Fact name={t.receipts.hash}>
          <Verbatim text={seal.hash} />
        </Fact>
        <Fact name={t.receipts.key}>
          <Verbatim text={seal.key} />
        </Fact>
      </dl>
      <p className="text-muted">{t.receipts.explained}</p>
      <Command where={t.receipts.out} text={`flip-hub runs receipts ${seal.run_id} --out ${file}`} />
      <Command where={t.receipts.verify} text={`flip-hub receipts verify ${file}`} />
    </div>
  );
}

function Verbatim({ text }: { text: string }) {
  return <span className="break-all font-mono text-[0.8125rem]">{text}</span>;
}
