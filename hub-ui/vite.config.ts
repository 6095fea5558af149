import tailwind from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

const HUB = "http://127.0.0.1:8000";

export default defineConfig({
  plugins: [react(), tailwind()],
  resolve: { alias: { "@": new URL("./src", import.meta.url).pathname } },
  build: {
    outDir: "../hub/flip_hub/console/static",
    emptyOutDir: true,
    target: "es2022",
    // light-dark() as written: every browser since May 2024 has it
    cssTarget: ["chrome123", "firefox120", "safari17.5"],
  },
  server: { proxy: { "/api": { target: HUB, ws: true } } },
  test: { environment: "happy-dom", include: ["tests/**/*.test.ts"] },
});
