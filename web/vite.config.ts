import { defineConfig } from "vite";

// The built page lies in the server's package, which serves it and carries it in its wheel.
export default defineConfig({
  build: {
    outDir: "../atlas/web",
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 1500,
    modulePreload: { polyfill: false },
    // How long plugins took is news on a busy machine only, and none of them is ours.
    rolldownOptions: { checks: { pluginTimings: false } },
  },
  server: { proxy: { "/v1": "http://127.0.0.1:8000", "/schema": "http://127.0.0.1:8000" } },
});
