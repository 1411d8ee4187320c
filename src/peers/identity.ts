import { readFile, writeFile } from 'node:fs/promises'
import { generateKeyPair, privateKeyFromProtobuf, privateKeyToProtobuf } from '@libp2p/crypto/keys'
import type { PrivateKey } from '@libp2p/interface'
import { systemErrorCode } from '../foundation/system-error.ts'

/** Reads the node's identity, or makes one at its first start; only its owner may read the file. */
export async function loadIdentity(path: string): Promise<PrivateKey> {
  try {
    return privateKeyFromProtobuf(await readFile(path))
  } catch (error) {
    if (systemErrorCode(error) !== 'ENOENT') {
      throw new Error(`the node's identity in ${path} can not be read`, { cause: error })
    }
  }
  const key = await generateKeyPair('Ed25519')
  await writeFile(path, privateKeyToProtobuf(key), { mode: 0o600, flag: 'wx' })
  return key
}
