// Runs the tests of the model: each is bundled for Node, which then runs them; arguments choose files by a part of their name.

import { spawnSync } from "node:child_process";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import * as esbuild from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const wanted = process.argv.slice(2);
const files = (await readdir(join(here, "test"), { recursive: true }))
  .filter((name) => /\.test\.tsx?$/.test(name) && (!wanted.length || wanted.some((part) => name.includes(part))))
  .map((name) => join("test", name));
if (!files.length) {
  console.error("no test has such a name");
  process.exit(1);
}
// within the project, so that packages which are not bundled are found
const built = await mkdtemp(join(here, ".tests-"));
try {
  await esbuild.build({
    absWorkingDir: here,
    entryPoints: files,
    outdir: built,
    outbase: "test",
    outExtension: { ".js": ".mjs" },
    bundle: true,
    packages: "external",
    platform: "node",
    format: "esm",
    sourcemap: "inline",
    logLevel: "warning",
  });
  const made = (await readdir(built, { recursive: true })).filter((name) => name.endsWith(".mjs")).map((name) => join(built, name));
  const { status } = spawnSync(process.execPath, ["--enable-source-maps", "--test", ...made], { stdio: "inherit" });
  process.exitCode = status ?? 1;
} finally {
  await rm(built, { recursive: true, force: true });
}
