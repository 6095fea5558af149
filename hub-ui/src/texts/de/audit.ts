/** What the page of the audit says. */
export const audit = {
  title: "Audit",
  caption: "Wer was getan hat, das Neueste zuerst",
  none: "Kein Eintrag ist so, wie Sie ihn suchen.",
  older: "Ältere Einträge",
  actor: "Wer, genau",
  subject: "Woran, genau",
  outcome: "Was daraus wurde",
  outcomes: { all: "Alle", done: "Getan", refused: "Abgelehnt" },
  columns: { action: "Was", actor: "Wer", subject: "Woran", detail: "Antwort und Änderungen", when: "Wann" },
  number: (seq: string) => `Eintrag ${seq}`,
  nobody: "niemand Bekanntes",
  verify: "Kette prüfen",
  verifying: "Prüft…",
  whole: (entries: string) => `Alle ${entries} Einträge sind, wie der Hub sie geschrieben hat`,
  broken: "Die Kette ist gebrochen",
};
