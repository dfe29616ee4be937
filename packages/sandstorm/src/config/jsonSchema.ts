/** The JSON Schema of a configuration file (draft 2020-12), for editors and for docs/config.md. */
import type * as Zod from 'zod'
import type { KnownKeys } from './issues.ts'
import { fileSchema, type ZodModule } from './schema.ts'

type Json = Zod.core.JSONSchema.BaseSchema

export function jsonSchema(z: ZodModule, schema: Zod.ZodType = fileSchema(z)): Json {
  const { $schema, ...rest } = z.toJSONSchema(schema, { io: 'input' })
  return {
    $schema,
    title: 'The configuration of sandstorm serve',
    ...JSON.parse(JSON.stringify(rest)), // without what is not JSON
  }
}

/** The text of config.schema.json. */
export async function schemaText(): Promise<string> {
  return `${JSON.stringify(jsonSchema(await import('zod')), undefined, 2)}\n`
}

/** The names of all keys, by the table that they stand in. */
export function knownKeys(z: ZodModule, schema: Zod.ZodType): KnownKeys {
  const file = jsonSchema(z, schema)
  const names = (table: unknown): string[] => Object.keys(propertiesOf(table))
  const site = itemsOf(propertiesOf(file)['sites'])
  const { accessLog, limits } = propertiesOf(file)
  return {
    file: names(file),
    site: names(site),
    origin: names(propertiesOf(site)['origin']),
    rule: names(itemsOf(propertiesOf(site)['rules'])),
    accessLog: names(accessLog),
    limits: names(limits),
  }
}

const propertiesOf = (table: unknown): Record<string, Json> =>
  (table as Json).properties as Record<string, Json>
const itemsOf = (list: unknown): Json => (list as Json).items as Json
