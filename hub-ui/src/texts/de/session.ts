/** What is said to whoever signs in, or confirms that a command line may act for them. */
export const login = {
  title: "Anmelden",
  lead: "an der Konsole dieses Hubs",
  username: "Benutzername",
  password: "Passwort",
  submit: "Anmelden",
  submitting: "Meldet an…",
  signOut: "Abmelden",
  signedInAs: (name: string) => `Angemeldet als ${name}`,
  again: "Ihre Sitzung ist zu Ende. Melden Sie sich an, um dort weiterzumachen, wo Sie waren.",
  provider: (name: string) => `Mit ${name} anmelden`,
  or: "oder",
  wait: (seconds: string) => `Neuer Versuch in ${seconds}`,
  setupLead: "Auf diesem Hub hat noch niemand ein Konto. Legen Sie das erste an, das eines Admins.",
  code: "Einrichtungscode",
  codeHint: "Er steht in der Datei setup.code im Zustandsordner des Hubs.",
  newPassword: "Passwort, mindestens 12 Zeichen",
  setup: "Erstes Konto anlegen",
};

export const confirm = {
  title: "Eine Kommandozeile fragt",
  lead: (address: string) =>
    `Eine Kommandozeile unter ${address} möchte für Sie handeln, mit allem, was Sie dürfen. Sie zeigt:`,
  warning:
    "Bestätigen Sie nur, wenn Sie flwr login gerade selbst gestartet haben und der Code dort derselbe ist.",
  confirm: "Darf für mich handeln",
  refuse: "Ablehnen",
  confirmed: "Sie darf jetzt für Sie handeln",
  confirmedHint: "Sie können diese Seite schließen. Überall abmelden beendet auch das.",
  refused: "Es wurde abgelehnt",
  refusedHint: "Sie hat nichts bekommen.",
};
