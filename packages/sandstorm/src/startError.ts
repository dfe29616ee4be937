/**
 * A refusal to start that the user can mend: the message is one line (what, why, what to do), and
 * the process ends with exit code 2. Anything else that is thrown while starting is a bug of ours.
 */
export class StartError extends Error {
  override readonly name: string = 'StartError'
}
