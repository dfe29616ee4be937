/**
 * A tree arrives whole at two clients that share no code, of which one keeps its connections and
 * the other opens one per file. (All four pairs, over lossy links too: slow/tree.test.ts.)
 */
import assert from 'node:assert/strict'
import { curlTree } from './curlTree.ts'
import { fetchTree } from './fetchTree.ts'
import type { Namespace } from './namespace.ts'
import type { TreeFile } from './tree.ts'

export async function assertArrives(
  url: string,
  files: readonly TreeFile[],
  namespace: Namespace,
): Promise<void> {
  const kept = await fetchTree(url, files, { namespace })
  assert.deepEqual(kept.wrong, [], `${url}, Node's client, connections kept`)
  const closed = await curlTree(url, files, { namespace, close: true })
  assert.deepEqual(closed.wrong, [], `${url}, curl, a connection per file`)
}
