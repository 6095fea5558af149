import { t } from "@/texts";
import { CheckField, SelectField, TextField } from "@/ui/Field";
import { type Field, ON, type Values } from "./fields";

export interface Form {
  values: Values;
  wrong: Readonly<Record<string, string>>;
  set: (path: string, value: string) => void;
}

/** Inputs of one section, two abreast where there is room. */
export function Fields({ fields, form }: { fields: readonly Field[]; form: Form }) {
  return (
    <div className="grid gap-x-6 gap-y-4 md:grid-cols-2">
      {fields.map((field) => (
        <Input key={field.path} field={field} form={form} />
      ))}
    </div>
  );
}

function Input({ field, form }: { field: Field; form: Form }) {
  const { path, kind, label, hint, fallback = "", choices } = field;
  const words = { id: path, label, hint, error: form.wrong[path] };
  const value = form.values[path] ?? "";
  const change = (next: string) => form.set(path, next);
  if (kind === "bool" || kind === "group") {
    const checked = (value || fallback) === ON;
    return <CheckField {...words} checked={checked} onChange={(on) => change(String(on))} />;
  }
  if (choices)
    return <SelectField {...words} choices={choices} value={value || fallback} onChange={change} />;
  const number = kind === "int" || kind === "float";
  return (
    <TextField
      {...words}
      value={value}
      onChange={change}
      {...(fallback && { placeholder: t.byDefault(fallback) })}
      {...(number && { inputMode: kind === "int" ? "numeric" : "decimal" })}
      required={field.required ?? false}
    />
  );
}
