/**
 * The command: parse, act, and turn whatever is thrown into one line and an exit code (errors.ts).
 * bin/sandstorm.js imports this file, and importing it runs it.
 */
import { CommanderError } from 'commander'
import { reportFailure, UserError } from './errors.ts'
import { makeProgram } from './program.ts'

// A reader that went away (`sandstorm … | head`) is no error, and no reason to stop serving.
for (const stream of [process.stdout, process.stderr])
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') process.exit(reportFailure(error))
  })
process.on('uncaughtException', error => process.exit(reportFailure(error)))

process.exitCode = await run(process.argv)

async function run(argv: readonly string[]): Promise<number> {
  let exitCode = 0
  const program = makeProgram(code => {
    exitCode = code
  })
  try {
    if (argv.length <= 2) program.help({ error: true })
    await program.parseAsync(argv)
    return exitCode
  } catch (thrown) {
    if (!(thrown instanceof CommanderError)) return reportFailure(thrown)
    if (thrown.exitCode === 0) return 0 // --help, --version
    if (thrown.code === 'commander.help') return 2 // no command: the help is on stderr
    const commands = program.commands.map(command => command.name())
    return reportFailure(
      usageError(
        thrown,
        commands.find(name => name === argv[2]),
      ),
    )
  }
}

/** commander's words in our form; `command`: whose --help would have told. */
function usageError({ code, message }: CommanderError, command: string | undefined): UserError {
  const name = /'([^']*)'/.exec(message)?.[1] ?? ''
  const guess = /\(Did you mean (.*?)\?\)/.exec(message)?.[1]
  const help = `sandstorm ${command === undefined ? '' : `${command} `}--help`
  const fix = guess === undefined ? `Try ${help}` : `Did you mean ${guess}? Else try ${help}`
  switch (code) {
    case 'commander.unknownOption':
      return new UserError(name, 'no such flag', fix)
    case 'commander.unknownCommand':
      return new UserError(name, 'no such command', fix)
    case 'commander.missingArgument':
      return new UserError(command ?? 'sandstorm', `${name} is missing`, fix)
    case 'commander.optionMissingArgument':
      return new UserError(name.replace(/ .*/, ''), 'needs a value', fix)
    case 'commander.excessArguments':
      return new UserError(command ?? 'sandstorm', 'too many arguments', fix)
    default:
      return new UserError('command line', message.replace(/^error: /, ''), fix)
  }
}
