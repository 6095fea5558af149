/** What stands around every page, and on many. */
export const shell = {
  brand: "FLIP",
  skip: "Zum Inhalt",
  notFound: {
    title: "Diese Seite gibt es nicht",
    text: "Die Adresse ist vertippt, oder was sie nennt, ist nicht mehr da.",
  },
  notAllowed: {
    title: "Ihre Rolle erlaubt das nicht",
    text: (permission: string) =>
      `Es braucht das Recht ${permission}. Ein Admin kann Ihnen eine Rolle geben, die es hat.`,
  },
  loading: "Lädt…",
  retry: "Noch einmal versuchen",
  cancel: "Abbrechen",
  close: "Schließen",
  copy: "Kopieren",
  copied: "Kopiert",
  none: "–",
  all: "Alle",
  data: "Daten",
  sent: (sent: string, size: string) => `${sent} von ${size}`,
  byDefault: (value: string) => `${value}, wenn nichts anderes gesagt wird`,
  back: { devices: "Alle Geräte", runs: "Alle Läufe", models: "Alle Modelle" },
  enrolDevices: "Geräte aufnehmen",
  startRun: "Lauf starten",
  severities: { info: "Hinweis", warning: "Warnung", critical: "Kritisch" },

  nav: {
    label: "Hauptmenü",
    open: "Menü öffnen",
    close: "Menü schließen",
    overview: "Überblick",
    devices: "Geräte",
    runs: "Läufe",
    models: "Modelle",
    alerts: "Alarme",
    openAlerts: "offene Alarme",
    administration: "Verwaltung",
    users: "Benutzer",
    audit: "Audit",
    system: "System",
    settings: "Einstellungen",
    account: "Ihr Konto",
  },

  palette: {
    title: "Überall hin, alles tun",
    hint: "Eine Seite, ein Gerät, ein Lauf, ein Modell…",
    found: "Gefunden",
    nothing: "So heißt nichts.",
    kinds: { page: "Seite", act: "Tun", device: "Gerät", run: "Lauf", model: "Modell" },
    compare: "Läufe vergleichen",
    theme: "Farben ändern",
    language: "Sprache ändern",
    shortcuts: "Tastenkürzel",
    search: "Auf dieser Seite suchen",
  },

  link: {
    label: "Verbindung zum Hub",
    connecting: "Verbindet",
    live: "Live",
    waiting: "Verbindet neu",
    connectingHint: "Die Verbindung zum Hub wird geöffnet.",
    liveHint: "Änderungen erscheinen, sobald sie geschehen.",
    waitingHint:
      "Der Hub antwortet nicht. Was Sie sehen, kann veraltet sein; es wird neu geholt, sobald die Verbindung wieder steht.",
  },

  theme: { label: "Farben", system: "Wie das System", light: "Hell", dark: "Dunkel" },

  problem: {
    unreachable: "Der Hub antwortet nicht",
    unreachableDetail: "Vom Hub unter dieser Adresse kam keine Antwort.",
    unreachableHint: "Prüfen Sie, ob flip-hub serve läuft und diese Maschine den Hub erreicht.",
    unknown: (status: number) => `Der Hub hat mit Status ${status} geantwortet, ohne Erklärung.`,
    broken: "Diese Seite ist kaputtgegangen",
    trace: "Trace",
  },
};
