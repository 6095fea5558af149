/** The model that an app ("NAME VERSION") makes versions of; the hub names it in the same way. */
export function modelOfApp(app: string): string {
  const name = app.slice(0, app.lastIndexOf(" ")).toLowerCase();
  return name.replace(/[^a-z0-9._-]+/g, "-").replace(/^[-._]+|[-._]+$/g, "") || "model";
}
