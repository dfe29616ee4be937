/** `sandstorm explain FILE`: the ready-made frames of a file. */
import { explainFile } from '../explain/explain.ts'
import { StartError } from '../startError.ts'

/** Prints them; returns the exit code. */
export async function explain(file: string): Promise<number> {
  const text = await explainFile(file).catch((error: Error) => {
    throw new StartError(error.message)
  })
  process.stdout.write(`${text}\n`)
  return 0
}
