// Builds the editor into pypes/web/static: a script, a style sheet, a font, a page, and the licences of all that is in them.
// The same sources and packages give the same bytes; CI builds once more and compares.

import { copyFile, mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import * as esbuild from "esbuild";
import { minify } from "terser";

const here = dirname(fileURLToPath(import.meta.url));
const target = join(here, "..", "pypes", "web", "static");
const FONT = "node_modules/@fontsource-variable/inter";

/** What packages have for those who develop with them, and keeps in the bundle what nothing here uses. */
const LEFT_OUT = [
  // a name for each stroke of an icon: random letters, which do not shrink
  [/lucide-react\/.*\/icons\/.*\.mjs$/, (text) => text.replace(/, key: "\w+"/g, "")],
  // names of components
  [/@xyflow\/react\/.*\/index\.js$/, (text) => text.replace(/^\w+\.displayName = .*;$/gm, "").replace(/ = (memo|forwardRef|fixedForwardRef|createContext)\(/g, " = /* @__PURE__ */ $1(")],
];
const leaner = {
  name: "leaner",
  setup: (build) => {
    for (const [filter, change] of LEFT_OUT) build.onLoad({ filter }, async ({ path }) => ({ contents: change(await readFile(path, "utf8")) }));
  },
};

const options = {
  absWorkingDir: here,
  entryPoints: { editor: "src/main.tsx" },
  outdir: target,
  bundle: true,
  format: "esm",
  // what only some need is fetched by those: the pages of a graph (Graph.js; what they share with the others is chunk.js), and German
  splitting: true,
  chunkNames: "[name]",
  target: ["chrome111", "firefox114", "safari16.4"],
  jsx: "automatic",
  plugins: [leaner],
  // Preact does what React does with a fifth of the bytes; see src/preact.ts and src/colours.ts
  alias: { react: "preact/compat", "react-dom": "preact/compat", "d3-color": "./src/colours.ts" },
  minify: true,
  legalComments: "none",
  charset: "utf8",
  metafile: true,
  logLevel: "warning",
  define: { "process.env.NODE_ENV": '"production"' },
  // named in the style sheet, and copied beside it
  external: ["./inter.woff2", "./de.js"],
};
/** Made by itself, so that it shares nothing. */
const german = { ...options, entryPoints: { de: "src/texts/de.ts" }, splitting: false, metafile: false };

/** The texts of the licences of all packages that are in the bundle, by name. */
async function licences(metafile) {
  const names = new Set(["@fontsource-variable/inter"]);
  for (const input of Object.keys(metafile.inputs)) {
    const found = /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(input);
    if (found) names.add(found[1]);
  }
  const parts = [];
  for (const name of [...names].sort()) {
    const folder = join(here, "node_modules", name);
    const { version, license } = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
    const file = (await readdir(folder)).find((each) => /^licen[cs]e/i.test(each));
    if (!file) throw new Error(`${name} has no file with its licence`);
    const text = (await readFile(join(folder, file), "utf8")).replace(/\r\n?/g, "\n").replace(/[ \t]+$/gm, "").trim();
    parts.push(`${name} ${version} (${license})\n\n${text}\n`);
  }
  return `The editor is made of its own code and of these packages.\n\n${parts.join(`\n${"-".repeat(80)}\n\n`)}`;
}

/** Writes a script in fewer bytes than esbuild does: a twentieth of what is sent. */
async function shorten(script) {
  const { code } = await minify(await readFile(script, "utf8"), { module: true, ecma: 2022, compress: { passes: 2 } });
  await writeFile(script, `${code}\n`);
}

async function finish(result) {
  await esbuild.build(german);
  // all styles are in editor.css
  await rm(join(target, "Graph.css"), { force: true });
  await writeFile(join(target, "LICENSES.txt"), await licences(result.metafile));
  await copyFile(join(here, FONT, "files", "inter-latin-wght-normal.woff2"), join(target, "inter.woff2"));
  await copyFile(join(here, "src", "index.html"), join(target, "index.html"));
}

await mkdir(target, { recursive: true });
if (process.argv.includes("--watch")) {
  const context = await esbuild.context({
    ...options,
    plugins: [{ name: "finish", setup: (build) => build.onEnd((result) => (result.errors.length ? undefined : finish(result))) }],
  });
  await context.watch();
} else {
  for (const name of await readdir(target)) await rm(join(target, name));
  const result = await esbuild.build(options);
  for (const name of Object.keys(result.metafile.outputs)) if (name.endsWith(".js")) await shorten(join(here, name));
  await finish(result);
}
