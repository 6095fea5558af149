import type { Rollout } from "@/api/types";
import { useMay } from "@/session/may";
import { t } from "@/texts/rollouts";
import { Confirm } from "@/ui/Confirm";
import { type Decision, decide } from "./queries";

/** What people may decide now; nothing for those who only look. */
export function Decide({ rollout }: { rollout: Rollout }) {
  const { id, status, before } = rollout;
  if (!useMay("models:operate")) return null;
  return (
    <>
      {status === "running" && (
        <Ask
          id={id}
          decision="halt"
          label={t.rollout.halt}
          title={t.rollout.haltTitle(id)}
          text={t.rollout.haltText}
        />
      )}
      {status === "halted" && (
        <Ask
          id={id}
          decision="resume"
          label={t.rollout.resume}
          title={t.rollout.resumeTitle(id)}
          text={t.rollout.resumeText}
        />
      )}
      {status !== "rolled back" && !(status === "done" && before === null) && (
        <Ask
          id={id}
          decision="rollback"
          label={t.rollout.rollBack}
          title={t.rollout.rollBackTitle(id)}
          text={t.rollout.rollBackText(before)}
        />
      )}
    </>
  );
}

interface Props {
  id: string;
  decision: Decision;
  label: string;
  title: string;
  text: string;
}

function Ask({ id, decision, label, title, text }: Props) {
  return (
    <Confirm
      label={label}
      name={`${label} ${id}`}
      title={title}
      text={text}
      action={`${label} ${id}`}
      tone={decision === "rollback" ? "danger" : "main"}
      run={() => decide(id, decision)}
    />
  );
}
