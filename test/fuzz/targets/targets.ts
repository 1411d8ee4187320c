import type { FuzzTarget } from '../fuzz-target.ts'
import { CASTORE_TARGETS } from './castore-targets.ts'
import { COMPRESSION_TARGETS } from './compression-targets.ts'
import { CONFIG_TARGET } from './config-target.ts'
import { EXCHANGE_TARGETS } from './exchange-targets.ts'
import { GATEWAY_TARGETS } from './gateway-targets.ts'
import { NAR_TARGETS } from './nar-targets.ts'
import { NIX_TARGETS } from './nix-targets.ts'
import { PATH_INFO_TARGETS } from './pathinfo-targets.ts'
import { UPSTREAM_TARGETS } from './upstream-targets.ts'
import { VERIFIED_TARGETS } from './verified-targets.ts'

/** Every decoder that faces the network or the disk. */
export const TARGETS: readonly FuzzTarget[] = [
  ...NAR_TARGETS,
  ...COMPRESSION_TARGETS,
  ...CASTORE_TARGETS,
  ...VERIFIED_TARGETS,
  ...PATH_INFO_TARGETS,
  ...NIX_TARGETS,
  ...EXCHANGE_TARGETS,
  ...GATEWAY_TARGETS,
  ...UPSTREAM_TARGETS,
  CONFIG_TARGET,
]
