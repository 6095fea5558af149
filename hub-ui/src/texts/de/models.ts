/** What the page of all models says. */
export const models = {
  title: "Modelle",
  caption: "Modelle und die Versionen, die Geräte bedienen sollen",
  columns: {
    name: "Modell",
    promoted: "Freigegeben",
    latest: "Neueste",
    versions: "Versionen",
    updated: "Geändert",
  },
  nonePromoted: "keine",
  version: (version: number) => `Version ${version}`,
  empty: {
    title: "Noch keine Modelle",
    text: "Jede Runde eines Laufs trägt eine Version des Modells ein, das er trainiert hat.",
    onHub: "Auf dem Hub",
  },
};
