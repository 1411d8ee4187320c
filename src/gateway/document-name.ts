import { NixError } from '../nix/nix-error.ts'
import { StorePath } from '../nix/store-path.ts'
import type { DocumentKind } from '../pathinfo/named-document-store.ts'
import { badRequest } from './gateway-error.ts'

/** How a document is asked for: what it is, and its name there. */
export interface DocumentName {
  readonly kind: DocumentKind
  readonly name: string
}

const OUTPUT = /^[A-Za-z0-9+\-._?=]{1,211}$/

/** The log of a derivation, `log/<hash>-<name>.drv`. @throws GatewayError 'bad-request' */
export function logName(text: string): DocumentName {
  checkDerivation(text)
  return { kind: 'log', name: text }
}

/** `realisations/sha256:<64 hex>!<output>.doi`. @throws GatewayError 'bad-request' */
export function realisationName(text: string): DocumentName {
  const [, id, output] = /^(sha256:[0-9a-f]{64}!([^!/]+))\.doi$/.exec(text) ?? []
  if (id !== undefined && OUTPUT.test(output ?? '')) return { kind: 'realisation', name: id }
  throw badRequest('a realisation is named sha256:<64 hexadecimal digits>!<output>.doi')
}

/** `build-trace-v2/<derivation>/<output>.doi`, as Nix 2.35 has it. @throws GatewayError */
export function buildTraceName(derivation: string, text: string): DocumentName {
  checkDerivation(derivation)
  const [, output] = /^(.+)\.doi$/.exec(text) ?? []
  if (output !== undefined && OUTPUT.test(output)) {
    return { kind: 'build-trace', name: `${derivation}/${output}` }
  }
  throw badRequest('a build trace is named <derivation>/<output>.doi')
}

/** `debuginfo/<build ID>`, with or without `.debug`. @throws GatewayError 'bad-request' */
export function debugInfoName(text: string): DocumentName {
  const [, buildId] = /^([0-9a-f]{8,128})(?:\.debug)?$/.exec(text) ?? []
  if (buildId !== undefined) return { kind: 'debuginfo', name: buildId }
  throw badRequest('debug info is named by a build ID, 8 to 128 hexadecimal digits')
}

function checkDerivation(text: string): void {
  try {
    if (StorePath.parseBaseName(text).name.endsWith('.drv')) return
  } catch (cause) {
    if (!(cause instanceof NixError)) throw cause
    throw badRequest(cause.message, cause)
  }
  throw badRequest('the name of a derivation ends with .drv')
}
