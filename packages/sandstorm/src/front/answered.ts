/**
 * How far an origin's answer to one request has come: plain data, which goes from thread to thread.
 */
export interface Answered {
  /** 0: it has not begun. */
  status: number
  /** Of its content. */
  bodyBytes: number
  /** Who has answered, as a flag of the access log. */
  from: number
  /** The connection ends behind it. */
  close: boolean
}

/** An answer that has not begun. */
export const notAnswered = (close: boolean): Answered => ({
  status: 0,
  bodyBytes: 0,
  from: 0,
  close,
})
