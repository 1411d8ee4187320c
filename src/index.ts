/** A node to be run within another program: {@link createNode}, and what configures it. */
export type { Config } from './daemon/config.ts'
export { createNode, type Node } from './daemon/create-node.ts'
export { type ConfigSources, loadConfig } from './daemon/load-config.ts'
export type { Log, LogOf } from './foundation/log.ts'
