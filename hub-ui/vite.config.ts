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
    rolldownOptions: {
      output: {
        // what every visit needs is one file, and what the first page needs beside it another: many small ones
        // compress worse, and each is a request
        codeSplitting: {
          groups: [
            { name: "app", test: /src\/(main\.tsx|app\/)/, priority: 2 },
            { name: "overview", test: /src\/overview\//, priority: 1 },
          ],
        },
      },
    },
    cssTarget: ["chrome123", "firefox120", "safari17.5"],
  },
  server: { proxy: { "/api": { target: HUB, ws: true } } },
  test: { environment: "happy-dom", include: ["tests/**/*.test.ts"] },
});
