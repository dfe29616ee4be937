/**
 * Memory that threads share, and that is copied as fast as by memmove(3).
 *
 * V8 copies a SharedArrayBuffer with relaxed atomic words, byte by byte at the ends: 1500 bytes
 * take it three times as long as memory of its own. WebAssembly's `memory.copy` has no such rule (a
 * data race leaves any mix of old and new bytes, which is all that packet memory asks for), so the
 * memory is a WebAssembly.Memory, and one function of five instructions is all the code that it
 * has.
 */

/** A shared WebAssembly.Memory; goes to other threads by message, and is the same memory there. */
export interface SharedMemory {
  readonly buffer: SharedArrayBuffer
}

/** Copies `len` bytes; they may overlap. Throws a RuntimeError outside the memory. */
export type Copy = (to: number, from: number, len: number) => void

/** A WebAssembly page: memory has a whole number of them. */
const PAGE_BYTES = 65536

/** What is used here of WebAssembly, whose types come with the DOM's. */
interface Engine {
  readonly Memory: new (descriptor: object) => SharedMemory
  readonly Module: new (bytes: Uint8Array) => object
  readonly Instance: new (module: object, imports: object) => { readonly exports: { copy: Copy } }
}
const { Instance, Memory, Module } = (globalThis as unknown as { readonly WebAssembly: Engine })
  .WebAssembly

/**
 * Zeroed memory of `size` bytes, in whole pages. Throws a RangeError if there is no room for it.
 */
export function newSharedMemory(size: number): SharedMemory {
  const pages = Math.ceil(size / PAGE_BYTES)
  return new Memory({ initial: pages, maximum: pages, shared: true })
}

const text = (word: string): number[] => [word.length, ...Buffer.from(word)]
const section = (id: number, ...body: number[]): number[] => [id, body.length, ...body]
const [I32, FUNCTION, MEMORY] = [0x7f, 0x60, 0x02]

/**
 * WebAssembly 2.0 §5 (binary format), with the shared memory of the threads proposal:
 *
 *   (module
 *     (import "region" "memory" (memory 0 32768 shared))
 *     (func (export "copy") (param i32 i32 i32)
 *       (memory.copy (local.get 0) (local.get 1) (local.get 2))))
 */
// biome-ignore format: a section a line, an instruction a line
const COPY_MODULE = Uint8Array.of(
  ...[0x00, ...Buffer.from('asm'), 1, 0, 0, 0],
  ...section(1, 1, FUNCTION, 3, I32, I32, I32, 0),
  ...section(2, 1, ...text('region'), ...text('memory'), MEMORY, 0x03, 0, 0x80, 0x80, 0x02),
  ...section(3, 1, 0),
  ...section(7, 1, ...text('copy'), 0, 0),
  ...section(10, 1, 12, 0,
    0x20, 0,
    0x20, 1,
    0x20, 2,
    0xfc, 0x0a, 0, 0,
    0x0b),
)
const copyModule = new Module(COPY_MODULE)

/**
 * One function for each memory, however many see it: callers meet no other, and it can be inlined.
 */
const copies = new WeakMap<SharedMemory, Copy>()

/** What copies within `memory`, on this thread. */
export function copyOf(memory: SharedMemory): Copy {
  let copy = copies.get(memory)
  if (copy === undefined) {
    copy = new Instance(copyModule, { region: { memory } }).exports.copy
    copies.set(memory, copy)
  }
  return copy
}
