import { badRequest } from './gateway-error.ts'

/** Characters of the longest file name; Nix's are a hash of 52 and an ending. */
export const FILE_NAME_LENGTH_MAX = 128

/**
 * The name of an uploaded file, as it stands in a URL below `nar/`: letters, digits and a few
 * signs, so that it leads nowhere else.
 * @throws GatewayError 'bad-request'
 */
export function narFileName(text: string): string {
  const isName = /^[A-Za-z0-9_+=-][A-Za-z0-9._+=-]*$/.test(text)
  if (isName && text.length <= FILE_NAME_LENGTH_MAX && !text.includes('..')) return text
  const right = `up to ${FILE_NAME_LENGTH_MAX} letters, digits and ._+=-`
  throw badRequest(`the name of a NAR file is ${right}, not ${JSON.stringify(text.slice(0, 200))}`)
}
