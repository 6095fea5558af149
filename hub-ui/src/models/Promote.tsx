import type { ModelVersion } from "@/api/types";
import { t } from "@/texts/model";
import { Confirm } from "@/ui/Confirm";
import { promote } from "./queries";

/** Moves what devices are meant to serve to this version; going back to an older one is called by its name. */
export function Promote({ version, promoted }: { version: ModelVersion; promoted: number | null }) {
  const { model, version: number } = version;
  const back = promoted !== null && number < promoted;
  const action = back ? t.model.rollBackAction(model, number) : t.model.promoteAction(model, number);
  return (
    <Confirm
      label={back ? t.model.rollBack : t.model.promote}
      name={action}
      title={back ? t.model.rollBackTitle(model, number) : t.model.promoteTitle(model, number)}
      text={t.model.promoteText(promoted)}
      action={action}
      run={() => promote(version)}
    />
  );
}
