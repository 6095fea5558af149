/** What the page of the audit says. */
export const audit = {
  title: "Audit",
  caption: "Who did what, newest first",
  none: "No entry is as you look for it.",
  older: "Older entries",
  actor: "Who, exactly",
  subject: "Of what, exactly",
  outcome: "What came of it",
  outcomes: { all: "All", done: "Done", refused: "Refused" },
  columns: { action: "What", actor: "Who", subject: "Of", detail: "Answer and changes", when: "When" },
  number: (seq: string) => `entry ${seq}`,
  nobody: "nobody known",
  verify: "Verify the chain",
  verifying: "Verifying…",
  whole: (entries: string) => `All ${entries} entries are as the hub wrote them`,
  broken: "The chain is broken",
};
