/** Of the frames benchmark, Ethernet header included. */
export const FRAME_LEN = 1500
