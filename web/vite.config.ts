import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import react from "@vitejs/plugin-react";
import { defineConfig, type Plugin } from "vite";

const app = join(import.meta.dirname, "../src/workflow_scheduler/ui/app");
const skipped = new Set(["node_modules"]);

/** Every source file in the order of its path; tests/tidy/test_web_app.py computes the same. */
function sources(folder: string): string[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    if (skipped.has(name)) return [];
    return statSync(path).isDirectory() ? sources(path) : [path];
  });
}

/** Writes the hash of the sources beside the built files, so that a test sees when they do not belong together. */
function hashed(): Plugin {
  return {
    name: "hash-of-the-sources",
    closeBundle() {
      const hash = createHash("sha256");
      const files = sources(import.meta.dirname).map((path) => relative(import.meta.dirname, path));
      for (const path of files.sort()) {
        hash.update(path).update("\0").update(readFileSync(join(import.meta.dirname, path))).update("\0");
      }
      writeFileSync(join(app, "sources.sha256"), `${hash.digest("hex")}\n`);
    },
  };
}

export default defineConfig({
  plugins: [react(), hashed()],
  build: { outDir: app, emptyOutDir: true, assetsInlineLimit: 0, modulePreload: { polyfill: false } },
  server: { proxy: { "/api": "http://127.0.0.1:8003", "/health": "http://127.0.0.1:8003" } },
});
