export type { Call } from './foundation/call.ts'
export { Digest } from './foundation/digest.ts'
