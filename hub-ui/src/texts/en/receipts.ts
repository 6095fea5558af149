/** What a run's page says of the chain of its receipts. */
export const receipts = {
  title: "Receipts",
  none: "Each contribution gets its receipt once the hub has decided on it.",
  noneEver: "It ended before the hub had anything to decide on.",
  entries: "Entries",
  seal: "Seal",
  sealed: "final, ",
  open: "of the chain so far: it grows until the run ends",
  hash: "Hash of the last entry",
  key: "Signed with the hub's key",
  explained:
    "Each entry holds the hash of the one before and what its device has signed, so anybody finds what was altered, removed or moved.",
  out: "Write them to a file",
  verify: "Check the file, anywhere",
};
