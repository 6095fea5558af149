import { useMutation, useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { CircleCheck } from "lucide-react";
import { type FormEvent, type ReactNode, useEffect, useState } from "react";
import { asProblem } from "@/api/problem";
import type { App, Run } from "@/api/types";
import { count, figure } from "@/format";
import { t } from "@/texts/start";
import { Button } from "@/ui/Button";
import { Callout } from "@/ui/Callout";
import { Fold } from "@/ui/Fold";
import { Problems } from "@/ui/Problems";
import { Eligible } from "./Eligible";
import { Fields, type Form } from "./Fields";
import { type Field, METRIC, PROMOTE, type Values } from "./fields";
import { checkRun, datasetsQuery, startRun, strategiesQuery } from "./queries";
import { fieldNamed, requestOf, wrongIn } from "./request";
import { StrategyNote } from "./StrategyNote";
import { type Section, sectionsOf } from "./sections";

/** All that a run can be started with. What most leave as it is stands folded; nothing is said that nobody gave. */
export function StartForm({ apps }: { apps: App[] }) {
  const strategies = useQuery(strategiesQuery).data ?? [];
  const datasets = useQuery(datasetsQuery).data ?? [];
  const navigate = useNavigate();
  const [values, setValues] = useState<Values>({ fab_hash: apps[0]?.fab_hash ?? "" });
  const [wrong, setWrong] = useState<Record<string, string>>({});
  const sections = sectionsOf(values, apps, strategies, datasets);
  const fields: Field[] = [...sections.flatMap((section) => section.fields), PROMOTE, METRIC];
  const ask = useMutation({
    mutationFn: ({ only }: { only: boolean }) => {
      const request = requestOf(fields, values);
      return only ? checkRun(request) : startRun(request);
    },
    onSuccess: (run, { only }) => {
      if (!only) void navigate({ to: "/runs/$id", params: { id: run.id } });
    },
    onError: (error) => {
      const { detail } = asProblem(error);
      const path = fieldNamed(detail, fields);
      if (path) setWrong({ [path]: detail });
    },
  });
  useEffect(() => {
    const first = Object.keys(wrong)[0];
    if (first) document.getElementById(first)?.focus();
  }, [wrong]);
  const tell = (only: boolean) => {
    const found = wrongIn(fields, values);
    setWrong(found);
    ask.reset();
    if (Object.keys(found).length === 0) ask.mutate({ only });
  };
  const form: Form = {
    values,
    wrong,
    set: (path, value) => {
      setValues({ ...values, [path]: value });
      ask.reset();
      if (wrong[path]) setWrong(without(wrong, path));
    },
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    tell(false);
  };
  const strategy = strategies.find(({ name }) => name === values["plan.strategy"]);
  return (
    <form onSubmit={submit} noValidate className="max-w-4xl space-y-3">
      {sections.map((section) => (
        <Part
          key={section.id}
          section={section}
          form={form}
          {...(section.id === "devices" && { below: <Eligible values={values} /> })}
        >
          {section.id === "options" && strategy && <StrategyNote strategy={strategy} />}
        </Part>
      ))}
      <div className="rounded-lg border border-line bg-surface px-4 py-4 shadow-card">
        <Fields fields={[PROMOTE, METRIC]} form={form} />
      </div>
      {ask.error && <Problems error={ask.error} />}
      {ask.data && <Checked run={ask.data} />}
      <div className="flex flex-wrap justify-end gap-2 pt-1">
        <Button disabled={ask.isPending} onClick={() => tell(true)}>
          {t.start.check}
        </Button>
        <Button type="submit" tone="main" disabled={ask.isPending}>
          {ask.isPending ? t.start.submitting : t.start.submit}
        </Button>
      </div>
    </form>
  );
}

interface PartProps {
  section: Section;
  form: Form;
  children: ReactNode;
  below?: ReactNode;
}

function Part({ section, form, children, below }: PartProps) {
  const { id, fields, folded } = section;
  const title = t.start.sections[id];
  if (fields.length === 0) return null;
  if (!folded)
    return (
      <section className="space-y-4 rounded-lg border border-line bg-surface px-4 py-4 shadow-card">
        <h2 className="sr-only">{title}</h2>
        <Fields fields={fields} form={form} />
      </section>
    );
  const given = fields.filter(({ path }) => form.values[path]).length;
  return (
    <Fold
      title={title}
      {...(given > 0 && { note: t.start.set(count(given)) })}
      wanted={fields.some(({ path }) => form.wrong[path])}
    >
      {children}
      <Fields fields={fields} form={form} />
      {below}
    </Fold>
  );
}

/** What the hub says of a request that it would take. */
function Checked({ run: { privacy } }: { run: Run }) {
  return (
    <div role="status">
      <Callout tone="info" icon={CircleCheck} title={t.start.nothingWrong}>
        {privacy && (
          <p>
            {privacy.planned === null
              ? t.start.priceUnknown
              : t.start.price(figure(privacy.planned), figure(privacy.budget), figure(privacy.delta))}
          </p>
        )}
      </Callout>
    </div>
  );
}

function without(wrong: Record<string, string>, path: string): Record<string, string> {
  return Object.fromEntries(Object.entries(wrong).filter(([key]) => key !== path));
}
