/** What the page of all runs says, and others of a run's state. */
export const runs = {
  title: "Läufe",
  caption: "Trainingsläufe, die neuesten zuerst",
  columns: {
    run: "Lauf",
    status: "Status",
    progress: "Fortschritt",
    started: "Begonnen",
    took: "Dauer",
    result: "Ergebnis",
  },
  statuses: {
    pending: "Steht an",
    running: "Läuft",
    finished: "Fertig",
    failed: "Fehlgeschlagen",
    paused: "Pausiert",
    stopped: "Abgebrochen",
  },
  roundOf: (round: string, rounds: string) => `Runde ${round} von ${rounds}`,
  round: (round: string) => `Runde ${round}`,
  notStarted: "Wartet auf seine erste Runde",
  noRound: "Endete vor seiner ersten Runde",
  left: (time: string) => `noch etwa ${time}`,
  progress: "Fortschritt des Laufs",
  promoted: (version: number) => `Version ${version} freigegeben`,
  empty: {
    title: "Noch keine Läufe",
    text: "Starten Sie einen aus dem Ordner einer Flower-App; das Beispiel digits liegt FLIP bei.",
    onHub: "Auf dem Hub",
  },
};
