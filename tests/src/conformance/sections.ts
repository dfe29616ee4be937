/** The matrix: all sections in the order of the document. */
import type { Section } from './requirement.ts'
import { ACCEPTANCE } from './requirements/acceptance.ts'
import { ACKS } from './requirements/acks.ts'
import { CLOSING } from './requirements/closing.ts'
import { CONGESTION } from './requirements/congestion.ts'
import { EXTENSIONS } from './requirements/extensions.ts'
import { ICMP } from './requirements/icmp.ts'
import { IP } from './requirements/ip.ts'
import { IPV6 } from './requirements/ipv6.ts'
import { LINK } from './requirements/link.ts'
import { OPENING } from './requirements/opening.ts'
import { RECOVERY } from './requirements/recovery.ts'
import { ROBUSTNESS } from './requirements/robustness.ts'
import { SEGMENTS } from './requirements/segments.ts'
import { SERVICE } from './requirements/service.ts'
import { WINDOW } from './requirements/window.ts'

export const SECTIONS: readonly Section[] = [
  SEGMENTS,
  OPENING,
  CLOSING,
  ACCEPTANCE,
  WINDOW,
  ACKS,
  SERVICE,
  CONGESTION,
  RECOVERY,
  EXTENSIONS,
  IP,
  ICMP,
  LINK,
  IPV6,
  ROBUSTNESS,
]
