import { NixError } from '../nix/nix-error.ts'
import { STORE_DIRECTORY, StorePath } from '../nix/store-path.ts'
import type { DocumentName } from './document-name.ts'
import { badRequest } from './gateway-error.ts'

/**
 * Looks whether the text of a document is what its name says.
 * @throws GatewayError 'bad-request' that says what would be right
 */
export function checkDocument({ kind, name }: DocumentName, text: string): void {
  switch (kind) {
    case 'log':
      return
    case 'realisation': {
      const { id, outPath } = objectOf(text)
      if (id !== name)
        throw badRequest(`the realisation is about another output: its id is ${name}`)
      checkOutPath(outPath)
      return
    }
    case 'build-trace':
      checkOutPath(objectOf(text).outPath)
      return
    case 'debuginfo': {
      const { archive, member } = objectOf(text)
      const isArchive = typeof archive === 'string' && /^\.\.\/nar\/[\w+./?=&-]+$/.test(archive)
      if (!isArchive || climbs(archive.slice('../'.length))) {
        throw badRequest('the archive of debug info is "../nar/<file>"')
      }
      if (typeof member === 'string' && /^[^/\0]/.test(member) && !climbs(member)) return
      throw badRequest('the member of debug info is a path within the archive')
    }
  }
}

function objectOf(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      return value as Record<string, unknown>
    }
  } catch (cause) {
    throw badRequest('the body is no JSON', cause)
  }
  throw badRequest('the body is no JSON object')
}

/** Nix writes the base name of the path; some write all of it. */
function checkOutPath(outPath: unknown): void {
  const text = typeof outPath === 'string' ? outPath : ''
  try {
    StorePath.parseBaseName(text.startsWith('/') ? text.slice(STORE_DIRECTORY.length + 1) : text)
  } catch (cause) {
    if (!(cause instanceof NixError)) throw cause
    throw badRequest(`the outPath is a store path: ${cause.message}`, cause)
  }
}

function climbs(path: string): boolean {
  return path.split(/[/?]/).some((part) => part === '..' || part === '.')
}
