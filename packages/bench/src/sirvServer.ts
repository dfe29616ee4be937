/**
 * A server of node:http with sirv, which reads its folder once, as it does in production: DIR
 * ADDRESS.
 */
import { createServer } from 'node:http'
import sirv from 'sirv'

const [dir, address] = process.argv.slice(2)
const server = createServer(sirv(dir, { dev: false, etag: true }))
server.keepAliveTimeout = 3_600_000
server.listen(80, address)
