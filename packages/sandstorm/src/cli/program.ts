/**
 * The commands and flags. What --help shows is what works.
 */
import { readFileSync } from 'node:fs'
import { Command } from 'commander'
import { type LoadFlags, loadConfig } from '../config/load.ts'
import type { ServeConfig } from '../config.ts'
import type { LoadCommandFlags } from '../load/plan.ts'
import { type CheckConfigFlags, checkConfigFile } from './checkConfig.ts'
import { type ConnsFlags, conns } from './conns.ts'
import { doctor } from './doctor.ts'
import { explain } from './explain.ts'
import { load } from './load.ts'
import { SERVE_PARTS, serve } from './serve.ts'

/** What is on its way to stdout or stderr when serving has ended may take so long. */
const LEAVE_MS = 500

const SERVE_EXAMPLES = `
Examples:
  sandstorm serve examples/site                      over a TAP, at http://10.77.0.2:80/
  sandstorm serve . --device kernel --port 3000      without privileges, on the kernel's stack
  sandstorm serve . --address 192.168.50.2/24        another subnet; the host gets 192.168.50.1
  sandstorm serve . --gateway 10.77.0.1              also for clients whose packets the host forwards
  sandstorm serve . --address6 2001:db8::2/64        our IPv6 address; the host gets 2001:db8::1
  sandstorm serve . --device packet:web0             on an interface, at its address; the kernel keeps all else
  sandstorm serve . --bridge br0 --address 192.168.7.9/24 --workers 2   a host on a bridge, with two threads
  sandstorm serve . --bridge br0 --vlan 10 --address 192.168.7.9/24   in a VLAN of it
  sandstorm serve dist --spa index.html --compress gzip,br --cache-control no-cache
  sandstorm serve --config sandstorm.toml --port 8000   what a file says, but for the port
  sandstorm serve dist --origin http://127.0.0.1:3000   what dist has not, from there, through a cache
  sandstorm serve . --trace                          a line for each frame
  sandstorm serve . --pcap out.pcapng                a capture for Wireshark or tshark
  sandstorm serve . --fault drop=0.02,delay=5ms,seed=7`

const CONNS_EXAMPLES = `
Times are milliseconds, cwnd and ssthresh segments, as in ss -tnoi. Shown are the servers of the user
who asks: their sockets are in /run/sandstorm, $XDG_RUNTIME_DIR/sandstorm or sandstorm-UID below the
temporary folder, unless SANDSTORM_RUNTIME_DIR names another, for serve and conns alike.
Exit code 0: at least one was shown; 2: none.

Examples:
  sandstorm conns                     all running servers
  sandstorm conns sand0               the one on this TAP (or: tap:sand0, or a process id)
  sandstorm conns --stats             counters by the names of nstat
  sandstorm conns --json | jq 'select(.state == "ESTAB")'`

const CHECK_CONFIG_EXAMPLES = `
Exit code 0: serve would take it; 2: it would not.

Examples:
  sandstorm check-config sandstorm.toml
  sandstorm check-config --schema > config.schema.json`

const EXPLAIN_EXAMPLES = `
Example:
  sandstorm explain examples/site/index.html`

const LOAD_EXAMPLES = `
A wrong answer is an error: a status of 400 or above, a body that is shorter or longer than it says or
than the first one was, or, of one answer in 64, whose bytes are others. Ctrl-C prints what was done.
Exit code 0: no errors; 1: some, or no answer; 2: it could not begin.

Examples:
  sandstorm load http://127.0.0.1:8080/ -k                   on the kernel's stack, 10 s, 64 connections
  sandstorm load http://10.77.0.1:8080/ -k --device tap      on our own, over a TAP to the host
  sandstorm load http://127.0.0.1:8080/ -n 100000 -c 256     a connection for each request
  sandstorm load http://127.0.0.1:8080/ -k --rate 5000 -d 30 --json
  sandstorm load http://10.77.0.1/ -k -c 100000 --device tap --source 10.77.0.10-10.77.0.13`

const DOCTOR_EXAMPLES = `
Exit code 0: serving over a TAP is possible; 1: only --device kernel is.

Example:
  sandstorm doctor && sudo npx sandstorm serve examples/site`

const PROGRAM_EXAMPLES = `
Examples:
  sandstorm doctor                    what can this machine do?
  sandstorm serve examples/site       serve a folder
  sandstorm serve --help              all flags of a command`

/** The program; an action hands its exit code to `finish`. Errors are thrown, never printed. */
export function makeProgram(finish: (exitCode: number) => void): Command {
  const program = new Command('sandstorm')
    .description('A web server with its own network stack.')
    .version(readVersion(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand('help [command]', 'print the help of a command')
    .exitOverride()
    .configureOutput({ outputError: () => {} })
    .addHelpText('after', PROGRAM_EXAMPLES)
  addServe(program, finish)
  program
    .command('conns')
    .description('print the connections of running servers: state, windows, times, timers')
    .argument('[PID|NAME]', 'a process id or a device (default: all)')
    .option('--json', 'a line of JSON for each connection')
    .option('--stats', 'counters instead of connections')
    .addHelpText('after', CONNS_EXAMPLES)
    .action(async (which: string | undefined, flags: ConnsFlags) =>
      finish(await conns(which ?? '', flags)),
    )
  addCheckConfig(program, finish)
  program
    .command('explain')
    .description('print the ready-made frames of a file: count, sizes, copies, memory')
    .argument('<FILE>', 'the file')
    .addHelpText('after', EXPLAIN_EXAMPLES)
    .action(async (file: string) => finish(await explain(file)))
  program
    .command('doctor')
    .description('print what this machine can do, what is missing, and what mends it')
    .addHelpText('after', DOCTOR_EXAMPLES)
    .action(async () => finish(await doctor(line => process.stdout.write(`${line}\n`))))
  addLoad(program, finish)
  return program
}

function addCheckConfig(program: Command, finish: (exitCode: number) => void): void {
  program
    .command('check-config')
    .description('print all that is wrong with a configuration file')
    .argument('[FILE]', 'the file, in JSON or TOML')
    .option('--schema', 'print the JSON Schema of such files')
    .addHelpText('after', CHECK_CONFIG_EXAMPLES)
    .action(async (file: string | undefined, flags: CheckConfigFlags) =>
      finish(await checkConfigFile(file, flags)),
    )
}

function addLoad(program: Command, finish: (exitCode: number) => void): void {
  program
    .command('load')
    .description('ask a web server over and over, and tell how fast and how well it answers')
    .argument('<URL>', 'what to ask for, with GET')
    .option('-c, --connections <n>', 'connections at the same time, up to 100000 (default: 64)')
    .option('-n, --requests <n>', 'so many requests in all')
    .option('-d, --duration <s>', 'for so many seconds (default, without -n: 10)')
    .option('-k, --keep-alive', 'many requests on each connection (default: one)')
    .option('-t, --threads <n>', 'threads, each with its part of the connections (default: 1)')
    .option(
      '--rate <n>',
      'requests a second, begun at fixed times: a latency counts from there (default: as soon as a connection is free)',
    )
    .option('--timeout <s>', 'for a connection, and for an answer (default: 10)')
    .option('--source <first-last>', 'IPv4 addresses of ours to come from, in turn')
    .option(
      '--device <name>',
      'kernel, tap, tap:NAME, packet:IF, xdp:IF or memif:SOCKET (default: kernel)',
    )
    .option(
      '--address <ip/len>',
      'our address; may be repeated (default, tap: 10.77.0.2/24)',
      collect,
    )
    .option(
      '--host-address <ip/len>',
      "the host's end of the TAP (default: the first other address)",
    )
    .option('--gateway <ip>', 'the router to a server on no subnet of ours')
    .option('--vlan <id>', 'be in a VLAN of the TAP or memif, 1 to 4094 (default: none)')
    .option(
      '--address6 <ip/len>',
      'our address for a server with an IPv6 address; may be repeated, then taken in turn (default, tap: fd77::2/64)',
      collect,
    )
    .option(
      '--host-address6 <ip/len>',
      "the host's end of the TAP (default: the first other address)",
      collect,
    )
    .option('--gateway6 <ip>', 'the router to such a server on no subnet of ours')
    .option(
      '--mtu <bytes>',
      'largest IP packet (default: 1500; packet, xdp: what the interface takes)',
    )
    .option(
      '--header <field>',
      "a field of each request, like 'Accept-Encoding: gzip'; may be repeated",
      collect,
    )
    .option('--json', 'the report as a line of JSON')
    .addHelpText('after', LOAD_EXAMPLES)
    .action(async (url: string, flags: LoadCommandFlags) => finish(await load(url, flags)))
}

/** Of a flag that may be repeated. */
const collect = (value: string, before: readonly string[] = []): string[] => [...before, value]

function addServe(program: Command, finish: (exitCode: number) => void): void {
  const command = program
    .command('serve')
    .description('serve a folder over HTTP')
    .argument('[DIR]', 'the folder; not needed with --config or --origin')
  addSiteFlags(command)
  addNetworkFlags(command)
  addPacketFlags(command)
  addWatchFlags(command)
  command.addHelpText('after', SERVE_EXAMPLES)
  command.action(async (dir: string | undefined, flags: LoadFlags) => {
    const read = (): Promise<ServeConfig> => loadConfig(dir, flags)
    const canReread = flags.config !== undefined
    const parts = canReread ? { ...SERVE_PARTS, reread: read } : SERVE_PARTS
    finish(await serve(await read(), parts))
    leaveSoon()
  })
}

/** A reader of stdout that does not read (an access log there) keeps nobody. */
function leaveSoon(): void {
  setTimeout(() => process.exit(), LEAVE_MS).unref()
}

/** What is served, and how. */
function addSiteFlags(command: Command): void {
  command
    .option('--origin <url>', 'who answers what DIR has not, through a cache')
    .option('--config <file>', 'a file in JSON or TOML for all of this, and for several sites')
    .option('--listing <how>', 'what a folder without an index shows: html or json (default: off)')
    .option('--spa <file>', 'a file that answers for paths that name nothing, like index.html')
    .option('--clean-urls', '/about is answered with about.html')
    .option('--compress <list>', 'codings that are made at start: gzip, br, zstd (default: none)')
    .option('--cache-control <value>', 'the Cache-Control of all answers')
    .option('--cors <origin>', 'who may read answers from other sites: * or an origin')
    .option('--no-server-header', 'leave out the Server field')
}

/** How a server is watched. */
function addWatchFlags(command: Command): void {
  command
    .option('--access-log <file>', 'write a line for each request; -: to stdout (default: none)')
    .option('--log-format <name>', 'of these lines: common, combined or json (default: combined)')
    .option('--log-level <name>', 'error, warn, info or debug (default: info)')
    .option('--admin <address:port>', 'tell counters and health there, like 127.0.0.1:9077')
    .option(
      '--admin-host <name>',
      'a name by which that may be asked, beside localhost and addresses; may be repeated (default: none)',
      collect,
    )
}

/** Where the server is in the network. */
function addNetworkFlags(command: Command): void {
  command
    .option(
      '--device <name>',
      'auto, tap, tap:NAME, packet:IF, xdp:IF, memif:SOCKET or kernel; may be repeated (default: auto, which is tap where that is possible)',
      collect,
    )
    .option(
      '--address <ip/len>',
      'our address, /24 if no length is given; may be repeated (default: 10.77.0.2/24; packet, xdp: those of the interface; kernel: 127.0.0.1)',
      collect,
    )
    .option(
      '--host-address <ip/len>',
      "the host's end of the TAP (default: the first other address of the subnet)",
    )
    .option('--gateway <ip>', 'the router to clients who are in no subnet of ours (default: none)')
    .option(
      '--address6 <ip/len>',
      "our IPv6 address, /64 if no length is given; may be repeated (default: fd77::2/64; packet, xdp: the interface's; none with --address)",
      collect,
    )
    .option(
      '--host-address6 <ip/len>',
      "the host's end of the TAP (default: the first other address of each subnet)",
      collect,
    )
    .option('--gateway6 <ip>', 'where IPv6 packets for others go (default: nowhere)')
    .option('--bridge <name>', 'join the TAP to a bridge; --address is then ours on it')
    .option('--vlan <id>', 'be in a VLAN of the TAP or memif, 1 to 4094 (default: none)')
    .option('--trust-address', 'use our addresses without asking who else on the link has them')
    .option(
      '--memif-role <role>',
      'client (default), who brings the memory, or server, who listens',
    )
    .option('--memif-id <n>', 'the interface at the socket that we are (default: 0)')
    .option('--port <n>', 'TCP port (default: 80; kernel: 8080)')
    .option(
      '--mtu <bytes>',
      'largest IP packet, 576 to 9000 (default: 1500; packet, xdp: what the interface takes)',
    )
}

/** How packets are made, by whom, and what becomes of them. */
function addPacketFlags(command: Command): void {
  command
    .option('--memory <size>', 'packet and content memory, like 512MiB (default: 1GiB)')
    .option('--replicas <n>', 'copies of each packet made in advance (default: on demand)')
    .option('--transmit <how>', 'template, gather or copy (default: what suits the device)')
    .option('--cc <name>', 'congestion control: cubic or newreno (default: cubic)')
    .option('--pacing', 'spread what a window allows over the round trip')
    .option('--pcap <file>', 'write all frames to a pcapng file')
    .option('--trace', 'print a line for each frame')
    .option('--fault <list>', 'a bad network: drop, dup, reorder, corrupt, delay, seed')
    .option('--workers <n>', 'packet threads of each device (default: 1)')
    .option(
      '--connections <n>',
      'connections at the same time, of each packet thread, up to 16000000 (default: 65536; kernel: 10000)',
    )
    .option('--cpus <list>', 'CPUs that they are pinned to, in turn, like 0,2-3 (default: any)')
    .option(
      '--spin <us>',
      'look for the next frame so long before sleeping, where that helps; 0: never (default: 50, or 0 without a CPU to spare)',
    )
    .option('--rx-batch <n>', 'for measurements: take so many frames at once (default: 64)')
    .option(
      '--tx-delay <us>',
      'for measurements: let frames to be sent wait so long for others (default: 0)',
    )
    .option(
      '--busy-poll <us>',
      "xdp: packet threads run the NIC's driver themselves (SO_BUSY_POLL); 0: interrupts do (default: 0)",
    )
}

function readVersion(): string {
  const file = new URL('../../../package.json', import.meta.url)
  const { version } = JSON.parse(readFileSync(file, 'utf8')) as { version: string }
  return version
}
