import { readFileSync } from 'node:fs'

// Both src/ and dist/ lie beside package.json.
const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))

/** The version of this program, as package.json has it. */
export const VERSION: string = manifest.version
