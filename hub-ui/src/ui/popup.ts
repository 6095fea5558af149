/** How everything looks that opens over a page; each adds its width. */
export const BACKDROP = "fixed inset-0 z-40 bg-backdrop";
export const POPUP =
  "-translate-x-1/2 -translate-y-1/2 fixed top-1/2 left-1/2 z-50 rounded-xl border border-line bg-surface p-5 shadow-dialog";
