/** What is said to whoever signs in, or confirms that a command line may act for them. */
export const login = {
  title: "Sign in",
  lead: "to this hub's console",
  username: "User name",
  password: "Password",
  submit: "Sign in",
  submitting: "Signing in…",
  signOut: "Sign out",
  signedInAs: (name: string) => `Signed in as ${name}`,
  again: "Your session is over. Sign in to go on where you were.",
  provider: (name: string) => `Sign in with ${name}`,
  or: "or",
  wait: (seconds: string) => `Try again in ${seconds}`,
  setupLead: "Nobody has an account on this hub yet. Make the first one, an admin's.",
  code: "Set-up code",
  codeHint: "It is in the file setup.code in the hub's state folder.",
  newPassword: "Password, at least 12 characters",
  setup: "Make the first account",
};

export const confirm = {
  title: "A command line asks",
  lead: (address: string) =>
    `A command line at ${address} asks to act for you, with all that you may do. It shows:`,
  warning: "Confirm only if you have just run flwr login yourself, and the code there is the same.",
  confirm: "Let it act for me",
  refuse: "Refuse",
  confirmed: "It may act for you now",
  confirmedHint: "You can close this page. Signing out everywhere ends that, too.",
  refused: "It was refused",
  refusedHint: "Nothing was given to it.",
};
