/** What the overview says. */
export const overview = {
  title: "Überblick",
  fleet: "Flotte",
  mapLabel: (total: string, states: string) =>
    `${total} Geräte: ${states}. Pfeiltasten bewegen, Eingabe öffnet.`,
  mapHelp: "Eine Zelle je Gerät, nach Standort und Name.",
  asTable: "Als Tabelle zeigen",
  backlog: "Wartet auf Geräten",
  backlogText: (devices: string) => `Ereignisse auf ${devices} Geräten`,
  noBacklog: "nichts wartet auf diesen Hub",
  dropped: "Auf Geräten verworfen",
  droppedText: (devices: string) => `Ereignisse auf ${devices} Geräten, jedes gemeldet`,
  noneDropped: "nichts ging verloren",
  runs: "Läuft",
  noRuns: "Kein Lauf ist im Gange.",
  alerts: "Offene Alarme",
  noAlerts: "Alles ist in Ordnung.",
  allAlerts: (more: string) => `${more} weitere`,
  changes: "Seit Ihrem letzten Besuch",
  firstVisit:
    "Dies ist Ihr erster Besuch mit diesem Browser: von jetzt an steht hier, was sich inzwischen geändert hat.",
  sinceWhen: "Zuletzt hier:",
  noChanges: "Nichts hat sich geändert.",
  kinds: {
    enrolled: (name: string) => `${name} wurde aufgenommen`,
    silent: (name: string) => `${name} ist verstummt`,
    alert: (title: string, name: string) => (name ? `${title}: ${name}` : title),
    resolved: (title: string, name: string) => `Vorbei: ${title}${name ? `: ${name}` : ""}`,
    run: (app: string, state: string) => `${app}: ${state}`,
    model: (name: string, version: string) => `${name} hat Version ${version}`,
  },
  more: (count: string) => `und ${count} weitere`,
};
