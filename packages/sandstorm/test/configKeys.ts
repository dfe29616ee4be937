/** The table of docs/config.md, from the JSON Schema: what a key is called, takes, and does. */

/** The part of a JSON Schema that is looked at. */
interface Schema {
  readonly description?: string
  readonly type?: string | readonly string[]
  readonly enum?: readonly string[]
  readonly minimum?: number
  readonly maximum?: number
  readonly anyOf?: readonly Schema[]
  readonly items?: Schema
  readonly properties?: Readonly<Record<string, Schema>>
  readonly additionalProperties?: Schema | false
}

/** Every key by its path: `sites[].rules[].match`. */
export function keyRows(schema: Schema, path = ''): [key: string, schema: Schema][] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, inner]) => {
    const key = path === '' ? name : `${path}.${name}`
    const below = inner.items?.properties === undefined ? inner : inner.items
    return [[key, inner], ...keyRows(below, below === inner ? key : `${key}[]`)]
  })
}

/** In Markdown. */
export function keyTable(schema: Schema): string {
  const rows = keyRows(schema).map(([key, inner]) => {
    const [, text, byDefault = ''] =
      /^(.*?)(?: \(default: (.*)\))?$/.exec(inner.description ?? '') ?? []
    return `| \`${key}\` | ${typeText(inner)} | ${byDefault} | ${text} |`
  })
  return ['| key | value | default | what it is |', '|---|---|---|---|', ...rows].join('\n')
}

function typeText(schema: Schema): string {
  if (schema.enum !== undefined) return schema.enum.join(', ')
  if (schema.anyOf !== undefined) return schema.anyOf.map(typeText).join(' or ')
  switch (schema.type) {
    case 'array':
      return `list of ${schema.items?.properties ? 'tables' : typeText(schema.items ?? {})}`
    case 'object':
      return 'table'
    case 'boolean':
      return 'true or false'
    case 'string':
      return 'text'
    case 'integer':
      return rangeText(schema)
    default:
      return [schema.type ?? []].flat().join(' or ').replace('string', 'text')
  }
}

function rangeText({ minimum = 0, maximum = Number.MAX_SAFE_INTEGER }: Schema): string {
  return maximum < Number.MAX_SAFE_INTEGER ? `${minimum} to ${maximum}` : 'numbers'
}
