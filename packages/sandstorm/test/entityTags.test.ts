import assert from 'node:assert/strict'
import { test } from 'node:test'
import { namesEtag, STRONG, WEAK } from '../src/http/entityTags.ts'

test('weak and strong comparison, lists and "*"', () => {
  const opaque = 'abcdefghijklmnopqrstuv'
  const tag = `"${opaque}"`
  const etags = Buffer.from(`##${opaque}##`)
  const matches = (value: string, isWeak: boolean = WEAK): boolean => {
    const bytes = Buffer.from(`::${value}::`, 'latin1')
    return namesEtag(bytes, 2, bytes.length - 2, isWeak, etags, 2, opaque.length)
  }
  const wrong = `"${'x'.repeat(22)}"`
  for (const value of [
    tag,
    `W/${tag}`,
    '*',
    `"a", ${tag}`,
    `"a",W/"b" ,\t${tag}`,
    `,, ${tag},`,
    `"a,b", ${tag}`,
    `${wrong}, ${tag}`,
  ]) {
    assert.ok(matches(value), value)
  }
  for (const value of [
    '',
    wrong,
    '""',
    'W/',
    'w/',
    `w/${tag}`,
    tag.slice(1),
    tag.slice(0, -1),
    tag.slice(1, -1),
    `"a" ${tag.slice(1)}`,
    `"a"${tag}`,
    `x, ${tag}`,
    `*, ${tag}`,
    '**',
    `"${tag}"`,
    ` *`,
  ]) {
    assert.ok(!matches(value), value)
  }
  // If-Match and If-Range: a weak tag is not the same bytes.
  for (const value of [tag, '*', `W/"b", ${tag}`, `"a",${tag}`]) {
    assert.ok(matches(value, STRONG), value)
  }
  for (const value of [`W/${tag}`, `"a", W/${tag}`]) assert.ok(!matches(value, STRONG), value)
})
