/**
 * Writes packages/sandstorm/config.schema.json and the table of docs/config.md from the code, after a
 * build: npm run config-docs. A test fails while they say something else.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { schemaText } from '../packages/sandstorm/dist/src/config/jsonSchema.js'
import { keyTable } from '../packages/sandstorm/dist/test/configKeys.js'

const docs = new URL('../docs/config.md', import.meta.url)
const text = await schemaText()
writeFileSync(new URL('../packages/sandstorm/config.schema.json', import.meta.url), text)
const table = keyTable(JSON.parse(text))
const page = readFileSync(docs, 'utf8')
writeFileSync(
  docs,
  page.replace(/\| key \|.*?(?=\n\n|\n$)/s, () => table),
)
