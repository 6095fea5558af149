import { useState } from "react";
import type { Alert } from "@/api/types";
import { duration } from "@/format";
import { t } from "@/texts/alerts";
import { SelectField, TextField } from "@/ui/Field";
import { FormDialog } from "@/ui/FormDialog";
import { silence } from "./queries";

const HOUR = 3600;
const LENGTHS = [HOUR, 8 * HOUR, 24 * HOUR, 7 * 24 * HOUR, 30 * 24 * HOUR];

/** What is known and looked after need not be told again and again: for a while, and with a reason. */
export function Silence({ alert }: { alert: Alert }) {
  const { rule, device_id = "", tags = [], name, title } = alert;
  const [why, setWhy] = useState("");
  const [seconds, setSeconds] = useState(String(8 * HOUR));
  const [reach, setReach] = useState("this");
  const reaches = [
    { value: "this", label: t.alerts.reach.this(title, name || alert.subject) },
    { value: "rule", label: t.alerts.reach.rule(title) },
    ...(device_id ? [{ value: "device", label: t.alerts.reach.device(name || device_id) }] : []),
    ...tags.map((tag) => ({ value: `tag ${tag}`, label: t.alerts.reach.tag(title, tag) })),
  ];
  const request = () => {
    const until = Date.now() / 1000 + Number(seconds);
    if (reach === "device") return { why, until, device_id };
    if (reach === "rule") return { why, until, rule };
    if (reach.startsWith("tag ")) return { why, until, rule, tag: reach.slice("tag ".length) };
    return { why, until, rule, device_id };
  };
  return (
    <FormDialog
      label={t.alerts.silence}
      name={t.alerts.silenceName(title, name || alert.subject)}
      title={t.alerts.silence}
      text={t.alerts.silenceText}
      action={t.alerts.silence}
      ready={why.trim() !== ""}
      run={() => silence(request())}
    >
      <SelectField
        id="reach"
        label={t.alerts.silenceWhat}
        value={reach}
        onChange={setReach}
        choices={reaches}
      />
      <SelectField
        id="length"
        label={t.alerts.silenceLong}
        value={seconds}
        onChange={setSeconds}
        choices={LENGTHS.map((length) => ({ value: String(length), label: duration(length) }))}
      />
      <TextField id="why" label={t.alerts.silenceWhy} value={why} onChange={setWhy} required />
    </FormDialog>
  );
}
