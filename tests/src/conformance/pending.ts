/**
 * What our stack does not do yet, by what is missing: texts of requirements. A pending case that
 * passes fails the conformance test, so that it is taken out here; in the end this is empty.
 */
const MISSING: Readonly<Record<string, readonly string[]>> = {
  'ICMP errors: sending port unreachable': [
    'A UDP datagram to a port that nobody has is answered with port unreachable',
  ],
  'IPv6 in the stack': [
    'A connection over IPv6: handshake, data, close',
    'IPv6: the MSS sent is 1440 for an MTU of 1500, and 1220 is used without an option',
    'IPv6: a closed port answers with RST',
    'Packet too big: segments get as small as it says, but not below 1280',
    'Extension headers are taken in any order and number that makes sense',
    'The two high bits of an unknown option say what happens: skip, drop, or parameter problem',
    'An unknown next header is answered with parameter problem, code 1',
    'An atomic fragment is a packet of its own',
    'Long chains, first fragments without the whole chain, and overlaps do no harm',
    'An ICMPv6 echo request is answered with the same data',
    'Errors fit in 1280 bytes and their rate is limited',
    'A neighbour solicitation for our address is answered, solicited, with our hardware address',
    'An advertisement that nobody asked for makes no entry, and one with O set changes an entry',
    'A flood of solicitations from ever new addresses fills no table',
    'Duplicate address detection before an address is used; who probes for ours is answered',
    'Router advertisements and redirects from strangers change nothing, and a flood fills no table',
  ],
}

/** By the text of the requirement: what is missing for it. */
export const PENDING: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries(MISSING).flatMap(([missing, texts]) => texts.map(text => [text, missing])),
)
