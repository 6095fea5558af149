import { en, type Texts } from "./en";

export const LANGUAGES = { en: "English" } as const;
export type Language = keyof typeof LANGUAGES;

const catalogues: Record<Language, Texts> = { en };

/** The reader's language where there is a catalogue for it, else English. */
export const language: Language =
  navigator.languages
    .map((tag) => tag.split("-")[0] ?? "")
    .find((tag): tag is Language => tag in catalogues) ?? "en";

export const t: Texts = catalogues[language];
