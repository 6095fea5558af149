import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import type { Setting } from "@/api/types";
import { t } from "@/texts/system";
import { Choices } from "@/ui/Choices";
import { type Column, DataTable } from "@/ui/DataTable";
import { SearchField } from "@/ui/Field";
import { Loaded } from "@/ui/Loaded";
import { Page, Section } from "@/ui/Page";
import { settingsQuery } from "./queries";

/** What the hub was set to, each value with where it comes from. */
export function SettingsPage() {
  const query = useQuery(settingsQuery);
  const [which, choose] = useState<"set" | "all">("all");
  const [sought, seek] = useState("");
  return (
    <Page title={t.settings.title}>
      <p className="mb-4 max-w-3xl text-muted">{t.settings.text}</p>
      <search className="flex flex-wrap items-center gap-2">
        <SearchField label={t.settings.search} value={sought} onChange={seek} />
        <Choices
          label={t.settings.which}
          choices={[
            { value: "all", label: t.all },
            { value: "set", label: t.settings.set },
          ]}
          value={which}
          onChange={choose}
        />
      </search>
      <Loaded query={query}>
        {(settings) => {
          const shown = settings.filter(
            (each) =>
              (which === "all" || !each.default) && `${each.section}.${each.key}`.includes(sought.trim()),
          );
          if (shown.length === 0) return <p className="mt-6 text-muted">{t.settings.none}</p>;
          return [...new Set(shown.map(({ section }) => section))].map((section) => (
            <Section key={section} title={`[${section}]`}>
              <DataTable
                caption={section}
                columns={COLUMNS}
                rows={shown.filter((each) => each.section === section)}
                rowKey={({ key }) => key}
              />
            </Section>
          ));
        }}
      </Loaded>
    </Page>
  );
}

const COLUMNS: readonly Column<Setting>[] = [
  {
    id: "key",
    header: t.settings.columns.key,
    heading: true,
    cell: ({ key }) => <code className="font-mono text-[0.8125rem]">{key}</code>,
  },
  {
    id: "value",
    header: t.settings.columns.value,
    cell: ({ value, default: unset }) => (
      <code className={`break-all font-mono text-[0.8125rem] ${unset ? "text-muted" : "font-semibold"}`}>
        {value}
      </code>
    ),
  },
  {
    id: "source",
    header: t.settings.columns.source,
    cell: ({ source, default: unset }) =>
      unset ? (
        <span className="text-muted">{t.settings.byDefault}</span>
      ) : (
        <span>
          {source.startsWith("FLIP_") ? t.settings.environment : t.settings.file}{" "}
          <code className="break-all font-mono text-[0.8125rem]">{source}</code>
        </span>
      ),
  },
];
