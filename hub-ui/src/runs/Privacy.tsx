import type { PrivacySpent } from "@/api/types";
import { figure } from "@/format";
import { t } from "@/texts/run";
import { Fact } from "@/ui/Fact";

/** How much of a private run's budget is spent, and will be when all its rounds are done. */
export function Privacy({ spent }: { spent: PrivacySpent }) {
  const { epsilon, budget, delta, planned, mode } = spent;
  return (
    <Fact name={t.run.privacy(t.run.privacyModes[mode] ?? mode)}>
      {t.run.epsilon(figure(epsilon), figure(budget), figure(delta))}
      {planned !== null && planned > epsilon && (
        <span className="text-muted">{t.run.planned(figure(planned))}</span>
      )}
    </Fact>
  );
}
