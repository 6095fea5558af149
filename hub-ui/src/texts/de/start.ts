/** What the form says that starts a run. A field's words stand under the name that the hub knows it by. */
interface Words {
  label: string;
  hint?: string;
}

const fields: Record<string, Words> = {
  fab_hash: { label: "App", hint: "flip-hub runs start ORDNER lädt eine andere hoch." },
  promote: { label: "Wenn er endet" },
  metric: {
    label: "Messwert, der über die beste Version entscheidet",
    hint: "Höher ist besser, außer bei Namen, die auf loss enden.",
  },
  "plan.strategy": { label: "Strategie" },
  "plan.filter.tags": {
    label: "Tags",
    hint: "Ein Gerät hat mindestens einen davon. Mit Kommas trennen.",
  },
  "plan.filter.sites": { label: "Standorte", hint: "Mit Kommas trennen." },
  "plan.filter.on_mains": { label: "Nicht auf Batterie" },
  "plan.filter.unmetered": { label: "Mit einer Verbindung, die nichts kostet" },
  "plan.filter.least_samples": {
    label: "Mindestens Beispiele",
    hint: "Beim letzten Update eines Geräts zu dieser App; eines, das nie gefragt wurde, macht mit.",
  },
  "plan.rounds.deadline": {
    label: "Frist, Sekunden",
    hint: "Danach geht eine Runde ohne die Übrigen weiter. 0: die Grenze der App selbst.",
  },
  "plan.rounds.quorum": {
    label: "Quorum, 0 bis 1",
    hint: "Anteil der gefragten Geräte; mit weniger Ergebnissen ändert eine Runde nichts.",
  },
  "plan.rounds.over_sample": {
    label: "Überzählige, 0 bis 4",
    hint: "Anteil der Geräte, die über die von der Strategie gewählten hinaus gefragt werden.",
  },
  "plan.rounds.wait": {
    label: "Auf genug Geräte warten, Sekunden",
    hint: "Dann endet der Lauf und sagt es.",
  },
  "plan.folding": {
    label: "Späte Ergebnisse einfalten",
    hint: "Ergebnisse früherer Runden gehen mit weniger Gewicht in die Runde ein, in der sie kommen.",
  },
  "plan.folding.exponent": {
    label: "Exponent, 0 bis 10",
    hint: "a in (1+s)^-a, dem Gewicht eines Ergebnisses, das s Runden zu spät kommt.",
  },
  "plan.folding.rounds": { label: "Höchstens Runden zu spät, 1 bis 20" },
  "plan.start": { label: "Beginnen mit" },
  "plan.start.model": { label: "Modell" },
  "plan.start.version": { label: "Version" },
  "plan.start.run_id": { label: "Lauf", hint: "Einer, der geendet hat, etwa run-0123456789ab." },
  "plan.start.round": { label: "Nach seiner Runde", hint: "Leer: sein letzter Checkpoint." },
  "plan.privacy.mode": { label: "Wer Updates kürzt, und wer verrauscht" },
  "plan.privacy.budget": { label: "Budget, Epsilon", hint: "Höchstens, des ganzen Laufs." },
  "plan.privacy.delta": {
    label: "Delta",
    hint: "Mit dem die Schranke versagen darf; weniger als eins durch die Zahl der Geräte.",
  },
  "plan.privacy.noise_multiplier": {
    label: "Rauschfaktor",
    hint: "Streuung des Rauschens auf der Summe der Updates einer Runde, in Kürzungsnormen.",
  },
  "plan.privacy.clipping_norm": {
    label: "Kürzungsnorm",
    hint: "Länge, auf die ein Update gekürzt wird; wo sie sich anpasst, die der ersten Runde.",
  },
  "plan.privacy.clipped_count_stddev": {
    label: "Rauschen auf der Zahl gekürzter Updates",
    hint: "In Geräten; ein Zwanzigstel der Geräte einer Runde ist üblich.",
  },
  "plan.privacy.clipped_share": { label: "Anteil der Updates, der gekürzt wird, 0 bis 1" },
  "plan.privacy.clipping_rate": { label: "Wie schnell die Norm folgt, 0 bis 10" },
  "plan.privacy.message_epsilon": {
    label: "Epsilon einer Nachricht",
    hint: "Danach wird das Rauschen gewählt.",
  },
  "plan.privacy.message_delta": { label: "Delta einer Nachricht" },
  "plan.privacy.sensitivity": { label: "Empfindlichkeit", hint: "Leer: die doppelte Kürzungsnorm." },
  "plan.privacy.metrics": { label: "Was Geräte messen", hint: "Kein Rauschen verbirgt Messwerte." },
  "plan.secure": {
    label: "Sichere Aggregation",
    hint: "Der Hub erfährt die Summe der Updates einer Runde, und kein einzelnes.",
  },
  "plan.secure.clip": {
    label: "Kürzung",
    hint: "Um wie viel sich ein Wert auf einem Gerät je Runde ändern darf.",
  },
  "plan.secure.max_weight": { label: "Beispiele eines Geräts höchstens" },
  "plan.secure.most": { label: "Geräte einer Runde höchstens", hint: "Je mehr, desto gröber die Summe." },
  "plan.secure.least": { label: "Geräte einer Summe mindestens" },
  "plan.secure.dropout": { label: "Anteil, der ausfallen darf, 0 bis 1" },
  "plan.secure.colluding": { label: "Anteil, der sich mit dem Hub absprechen darf, 0 bis 1" },
  "plan.secure.bits": { label: "Bits eines Werts, 2 bis 31", hint: "Leer: so viele, wie passen." },
  "plan.update.codec": { label: "Updates reisen als" },
  "plan.update.share": { label: "Anteil der Einträge, der bleibt, 0 bis 1" },
  "plan.local": {
    label: "Arrays, die auf jedem Gerät bleiben",
    hint: "Muster wie head.*, mit Kommas dazwischen: dort trainiert, dort aufgehoben, nie gesendet.",
  },
  "plan.dataset": { label: "Datensatz auf dem Hub", hint: "Den die Auswertung der App auf dem Hub liest." },
  "plan.seed": { label: "Seed", hint: "Von allem, was gezogen wird, etwa den Geräten einer Runde." },
};

export const start = {
  title: "Lauf starten",
  submit: "Starten",
  submitting: "Startet…",
  check: "Prüfen",
  fields,
  sections: {
    app: "App",
    configuration: "Die Konfiguration der App",
    strategy: "Strategie",
    options: "Optionen der Strategie",
    devices: "Geräte",
    rounds: "Runden",
    start: "Beginnen mit",
    privacy: "Differentielle Privatheit",
    secure: "Sichere Aggregation",
    updates: "Updates und das Modell",
  },
  set: (count: string) => `${count} gesetzt`,
  needed: "Das wird gebraucht.",
  notWhole: "Eine ganze Zahl wird gebraucht.",
  tooLarge: "Dieses Formular nimmt keine Zahl mit mehr als 53 Bits.",
  notNumber: "Eine Zahl wird gebraucht.",
  upload: "App hochladen",
  uploadText:
    "Ein Flower App Bundle, wie flwr build es macht. Geräte führen es aus, sobald ein Schlüssel, dem sie vertrauen, es unterschrieben hat.",
  file: "App (.fab)",
  noApps: "Noch keine Apps",
  noAppsText:
    "Eine App wird einmal hochgeladen, hier oder aus einem Terminal; dann kann sie gestartet werden, so oft Sie wollen.",
  ownStrategy: "Die der App selbst",
  source: "Wo sie beschrieben ist",
  streams: (updates: string) =>
    `Der Hub braucht Speicher für ${updates} Updates, so viele Geräte es auch sind.`,
  collects: (fixed: string, each: string) =>
    `Der Hub braucht Speicher für ${fixed} Updates, und ${each} mehr für jedes Gerät einer Runde.`,
  atLeast: (value: string) => `mindestens ${value}`,
  above: (value: string) => `mehr als ${value}`,
  atMost: (value: string) => `höchstens ${value}`,
  below: (value: string) => `weniger als ${value}`,
  price: (planned: string, budget: string, delta: string) =>
    `Das kostet ε ${planned} von einem Budget von ${budget}, bei δ ${delta}.`,
  priceUnknown: "Was das kostet, ist nicht bekannt, bevor die App sagt, wie viele Runden sie hat.",
  nothingWrong: "Der Hub würde diesen Lauf so starten.",
  able: (devices: string) =>
    devices === "1" ? "Ein Gerät würde jetzt trainieren" : `${devices} Geräte würden jetzt trainieren`,
  notAble: (absent: string, barred: string) =>
    `${absent} weitere würden es, sobald sie zurück oder frei sind; ${barred} bleiben durch die Auswahl hier außen vor.`,
  whyNot: "Welche, und warum",
  moreOthers: (others: string) => `und ${others} weitere`,
  absences: {
    revoked: "gesperrt",
    unknown: "jetzt nicht zu hören",
    "safe mode": "im sicheren Modus",
    held: "sein Regler hält das Training an",
  },
  choices: {
    promote: { best: "Die beste Version wird freigegeben", none: "Nichts wird freigegeben" },
    start: { "": "Die Arrays der App selbst", model: "Ein eingetragenes Modell", run: "Ein früherer Lauf" },
    privacy: {
      "": "Niemand: keine differentielle Privatheit",
      "hub-fixed": "Der Hub kürzt und verrauscht",
      "hub-adaptive": "Der Hub kürzt nach einer Norm, die sich anpasst, und verrauscht",
      "device-fixed": "Geräte kürzen, der Hub verrauscht",
      "device-adaptive": "Geräte kürzen nach einer Norm, die sich anpasst, der Hub verrauscht",
      local: "Jedes Gerät kürzt und verrauscht",
    },
    metrics: { none: "Keine Messwerte verlassen die Geräte", shown: "Messwerte wie ohne Privatheit" },
    codec: {
      float: "Zahlen, wie die App sie gibt",
      int8: "8 Bits für jeden Eintrag",
      int4: "4 Bits für jeden Eintrag",
      topk: "Nur die größten Einträge",
    },
    noDataset: "Keiner",
  },
};
