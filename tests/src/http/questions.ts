/**
 * What a static server is asked, and what the RFCs, or those who run one, expect. Each question is
 * one connection; its `judge` gives what is wrong with the answer, '' if nothing is. Asked of our
 * server on both mounts and of others (servers.ts), with the same bytes.
 */
import './protocolQuestions.ts'
import './resourceQuestions.ts'

export { QUESTIONS } from './question.ts'
