/**
 * What a configuration file holds once the schema has nothing against it: every key is optional.
 */
import type { CodingName, Site } from '../site/site.ts'

export interface FileRule {
  readonly match: string
  readonly headers?: Readonly<Record<string, string>>
  /** Shorthands for the headers Cache-Control and Access-Control-Allow-Origin. */
  readonly cacheControl?: string
  readonly cors?: string
}

export interface FileOrigin {
  readonly url: string
  readonly paths?: readonly string[]
  readonly folder?: string
  readonly negative?: Readonly<Record<string, string | number>>
  /** The rest, by the keys of origin.ts. */
  readonly [key: string]: unknown
}

export interface FileSite {
  readonly hosts?: readonly string[]
  readonly root?: string
  readonly origin?: FileOrigin
  readonly index?: readonly string[]
  readonly listing?: Site['listing']
  readonly cleanUrls?: boolean
  readonly fallback?: string
  readonly errorPages?: Readonly<Record<string, string>>
  readonly precompressed?: boolean
  readonly compress?: readonly CodingName[]
  readonly serverName?: string
  readonly rules?: readonly FileRule[]
}

/** A value of a key that is a flag as well. */
export type FlagValue = string | number | boolean | readonly (string | number)[]

export interface ConfigFile {
  /** Where an editor finds the schema. */
  readonly $schema?: string
  /** One site, and nothing else said of it. */
  readonly root?: string
  readonly sites?: readonly FileSite[]
  readonly accessLog?: { readonly path?: string; readonly format?: string }
  /** By the keys of limits.ts. */
  readonly limits?: Readonly<Record<string, string | number>>
  /** The rest, by the names of the flags. */
  readonly [flag: string]: unknown
}
