/**
 * What is written about the configuration file is what the code says: config.schema.json, the table
 * of docs/config.md, and its example. `node scripts/config-docs.mjs` writes the first two anew.
 */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, test } from 'node:test'
import { problemsOf, readConfigFile } from '../src/config/file.ts'
import { schemaText } from '../src/config/jsonSchema.ts'
import { keyRows, keyTable } from './configKeys.ts'

const read = (path: string): string => readFileSync(new URL(path, import.meta.url), 'utf8')
const docs = read('../../../../docs/config.md')
const folder = mkdtempSync(join(tmpdir(), 'sandstorm-docs-'))
after(() => rmSync(folder, { recursive: true }))

test('config.schema.json is what the code says', async () => {
  assert.equal(read('../../config.schema.json'), await schemaText(), 'run scripts/config-docs.mjs')
})

test('the table of docs/config.md has every key, and no other', async () => {
  assert.ok(docs.includes(keyTable(JSON.parse(await schemaText()))), 'run scripts/config-docs.mjs')
})

test('every key is described', async () => {
  for (const [key, { description = '' }] of keyRows(JSON.parse(await schemaText())))
    assert.notEqual(description, '', key)
})

test('the example of docs/config.md is fine, and all its sites are understood', async () => {
  const [, example = ''] = /```toml\n(.*?)```/s.exec(docs) ?? []
  for (const file of ['www/index.html', 'www/404.html', 'app/index.html']) {
    mkdirSync(dirname(join(folder, file)), { recursive: true })
    writeFileSync(join(folder, file), '')
  }
  const path = join(folder, 'sandstorm.toml')
  writeFileSync(path, example)
  const file = await readConfigFile(path)
  assert.deepEqual(problemsOf(file).map(String), [])
  assert.equal(file.flags.sites?.length, 2)
})
