import type { StrategySchema } from "@/api/types";
import { t } from "@/texts/start";

/** What a strategy does, and how much memory of the hub it takes. */
export function StrategyNote({ strategy: { summary, source, need } }: { strategy: StrategySchema }) {
  const memory = need.streams
    ? t.start.streams(String(need.fixed))
    : t.start.collects(String(need.fixed), String(need.each));
  return (
    <p className="mb-4 max-w-3xl text-muted">
      {summary}. {memory}{" "}
      {source.startsWith("https://") && (
        <a href={source} target="_blank" rel="noreferrer" className="text-accent underline">
          {t.start.source}
        </a>
      )}
    </p>
  );
}
