/** What a run's page says of the chain of its receipts. */
export const receipts = {
  title: "Belege",
  none: "Jeder Beitrag bekommt seinen Beleg, sobald der Hub über ihn entschieden hat.",
  noneEver: "Er endete, bevor der Hub etwas zu entscheiden hatte.",
  entries: "Einträge",
  seal: "Siegel",
  sealed: "endgültig, ",
  open: "der Kette bisher: sie wächst, bis der Lauf endet",
  hash: "Hash des letzten Eintrags",
  key: "Unterschrieben mit dem Schlüssel des Hubs",
  explained:
    "Jeder Eintrag enthält den Hash des vorigen und was sein Gerät unterschrieben hat: so findet jeder, was geändert, entfernt oder verschoben wurde.",
  out: "In eine Datei schreiben",
  verify: "Die Datei prüfen, überall",
};
