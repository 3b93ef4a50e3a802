import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

// Where `make run` serves the API and the results while the site itself comes from `npm run dev`.
const APP = "http://127.0.0.1:8000";

export default defineConfig({
  plugins: [react()],
  // The documentation's pictures lie beside this folder.
  server: { fs: { allow: [".."] }, proxy: { "/api": APP, "/files": APP } },
  build: {
    // An inlined asset is a data: address, which the policy allows for pictures only.
    assetsInlineLimit: 0,
    // Every browser that runs this site has modulepreload.
    modulePreload: { polyfill: false },
  },
  // Style sheets are read by a test of their own, and left empty otherwise.
  test: {
    include: ["tests/**/*.test.{ts,tsx}"],
    testTimeout: 10_000,
    css: { include: /\?raw$/ },
  },
});
