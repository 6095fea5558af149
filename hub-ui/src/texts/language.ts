/** In which language the console speaks; English is in the bundle, another one is fetched when it is spoken. */
export const LANGUAGES = { en: "English", de: "Deutsch" } as const;
export type Language = keyof typeof LANGUAGES;

const KEY = "flip.language";

/** What somebody has chosen in this browser, else the reader's own language where there are texts for it. */
export const language: Language =
  [localStorage.getItem(KEY) ?? "", ...navigator.languages]
    .map((tag) => tag.split("-")[0] ?? "")
    .find((tag): tag is Language => tag in LANGUAGES) ?? "en";

/** The texts in the language that is spoken: those in English, or what `de` fetches. */
export async function spoken<T>(en: T, de: () => Promise<T>): Promise<T> {
  return language === "en" ? en : de();
}

/** The page begins anew in the next language. */
export function nextLanguage(): void {
  const all = Object.keys(LANGUAGES) as Language[];
  localStorage.setItem(KEY, all[(all.indexOf(language) + 1) % all.length] ?? language);
  location.reload();
}
