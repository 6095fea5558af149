import { clock, count, duration } from "@/format";

/** What the page says that enrols devices. */
export const enrol = {
  title: "Geräte aufnehmen",
  first: "1. Ein Token machen",
  second: "2. Einen dieser Befehle auf dem Gerät ausführen",
  third: "3. Hier auf das Gerät warten",
  uses: "Wie viele Geräte",
  usesHint: "Jedes benutzt es einmal, bis zu 1.000.",
  lifetime: "Gilt für",
  lifetimes: (seconds: number) => duration(seconds),
  site: "Standort",
  siteHint: "Den diese Geräte bekommen; darf leer bleiben.",
  tags: "Tags",
  tagsHint: "Mit Kommas dazwischen.",
  create: "Token machen",
  made: (uses: number, until: number) =>
    `Ein Token für ${uses === 1 ? "ein Gerät" : `${count(uses)} Geräte`}, gültig bis ${clock(until, Date.now() / 1000)}.`,
  another: "Noch eines",
  ways: "Wege der Installation",
  way: { script: "Eine Zeile", apt: "apt", pip: "pip", installed: "Schon installiert" },
  wayText: {
    script:
      "Auf Debian oder Ubuntu: richtet die Pakete dieses Hubs ein, installiert den Agenten und nimmt ihn auf; darf wiederholt werden",
    apt: "Wo die Paketquelle eingerichtet ist: installiert den Agenten, nimmt ihn auf und startet ihn",
    pip: "In einer virtuellen Umgebung mit Python 3.11 oder neuer",
    installed: "Der Agent ist auf dem Gerät und wartet auf seine Aufnahme",
  },
  fingerprint: "SHA-256 der Zertifizierungsstelle dieses Hubs: der Agent vertraut keiner anderen",
  noFingerprint:
    "Das Zertifikat dieses Hubs ist nicht sein eigenes: der Agent vertraut, wem sein System vertraut.",
  once: "Das Token wird nur jetzt gezeigt. Wer es hat, kann ein Gerät aufnehmen.",
  waiting: "Wartet auf das Gerät",
  waitingMore: (here: string, total: string) => `${here} von ${total} sind da`,
  complete: (devices: string) =>
    devices === "1" ? "Das Gerät ist aufgenommen" : `Alle ${devices} Geräte sind aufgenommen`,
  tokens: "Tokens",
  tokensCaption: "Aufnahme-Tokens, die neuesten zuerst",
  columns: {
    token: "Token",
    by: "Gemacht von",
    left: "Noch übrig",
    given: "Gibt",
    until: "Gilt bis",
    revoke: "Sperren",
  },
  leftOf: (left: string, uses: string) => `${left} von ${uses}`,
  revoked: "Gesperrt",
  expired: "Abgelaufen",
  usedUp: "Verbraucht",
  revoke: "Sperren",
  revokeName: (id: string) => `${id} sperren`,
  revokeTitle: (id: string) => `${id} sperren?`,
  revokeText: "Kein Gerät wird mehr damit aufgenommen. Die es schon sind, bleiben es.",
};
