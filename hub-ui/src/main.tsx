import { QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { queryClient } from "@/app/query-client";
import { router } from "@/app/routes";
import { theme } from "@/app/theme";
import { link } from "@/live/link";
import { applyFrames } from "@/live/query";
import { session } from "@/session/session";
import { language } from "@/texts/language";
import "./styles.css";

document.documentElement.lang = language;
theme.apply();

link.onFrames((frames) => applyFrames(queryClient, frames));
link.onCatchUp(() => void queryClient.invalidateQueries());
link.run();

session.subscribe(() => {
  if (!session.get()) queryClient.clear();
  void router.invalidate(); // the guards decide anew where this tab may be
});

const root = document.getElementById("root");
await session.resume();
if (root) {
  createRoot(root).render(
    <StrictMode>
      <QueryClientProvider client={queryClient}>
        <RouterProvider router={router} />
      </QueryClientProvider>
    </StrictMode>,
  );
}
