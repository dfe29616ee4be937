/** What the host could not give us: its queue to a TAP is full if we do not read for a while. */
import { listLinks } from '../sys/links.ts'
import type { TapHandle } from './handle.ts'

/** Frames for us that the host has dropped since the interface is there; 0 if it is gone. */
export const tapDrops = ({ name }: TapHandle): number =>
  listLinks().find(link => link.name === name)?.txDropped ?? 0
