import { en, type Texts } from "./en";

const catalogues: Record<string, Texts> = { en };

/** The reader's language where there is a catalogue for it, else English. */
export const language =
  navigator.languages.map((tag) => tag.split("-")[0] ?? "").find((tag) => tag in catalogues) ?? "en";

export const t: Texts = catalogues[language] ?? en;
