#!/usr/bin/env node
// The committed half of the command: npm links it before the first build exists.
import { existsSync } from 'node:fs'

const entry = new URL('../dist/bundle/cli/main.js', import.meta.url)
if (!existsSync(entry)) {
  process.stderr.write('sandstorm: not built yet; run: npm run build\n')
  process.exit(2)
}
await import(entry.href)
