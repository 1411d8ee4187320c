import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { PublicKey, SecretKey } from '../../src/nix/key.ts'
import { startDaemon } from '../fixtures/daemon-process.ts'
import { nix, nixMissing } from '../fixtures/nix-closure.ts'
import { temporaryDirectory } from '../fixtures/temporary-directory.ts'
import { runCairn } from './run-cairn.ts'

const skipped = nixMissing()
const why = skipped === undefined ? '' : ` (${skipped})`

test('a generated key is in Nix’s format, and new each time', async () => {
  const one = await runCairn(['key', 'generate', 'host-1'])
  expect(one).toMatchObject({ code: 0, stderr: '' })
  const key = SecretKey.parse(one.stdout.trim())
  expect(key.name).toBe('host-1')
  const two = JSON.parse((await runCairn(['key', 'generate', '--json', 'host-1'])).stdout)
  expect(two.secret).not.toBe(one.stdout.trim())
  expect(SecretKey.parse(two.secret).publicKey().toString()).toBe(two.public)
  const half = await runCairn(['key', 'public'], { input: one.stdout })
  expect(half).toEqual({ code: 0, stderr: '', stdout: `${key.publicKey()}\n` })
  expect((await runCairn(['key', 'public'], { input: 'nonsense' })).code).toBe(2)
})

test.skipIf(skipped)(`Nix reads our keys, and we read Nix’s${why}`, async () => {
  await using directory = await temporaryDirectory()
  const ours = (await runCairn(['key', 'generate', 'host-1'])).stdout
  const file = join(directory.path, 'key')
  await writeFile(file, ours)
  const asNixSees = await nix('sh', ['-c', 'nix key convert-secret-to-public < "$0"', file])
  expect(asNixSees).toBe((await runCairn(['key', 'public'], { input: ours })).stdout.trim())
  const theirs = await nix('nix', ['key', 'generate-secret', '--key-name', 'nix-1'])
  await writeFile(file, theirs)
  const converted = await nix('sh', ['-c', 'nix key convert-secret-to-public < "$0"', file])
  expect((await runCairn(['key', 'public'], { input: theirs })).stdout.trim()).toBe(converted)
  expect(PublicKey.parse(converted).name).toBe('nix-1')
})

test.skipIf(skipped)(`a path is signed as Nix would, and shared from then on${why}`, async () => {
  await using directory = await temporaryDirectory()
  const key = SecretKey.generate('host-1')
  const file = join(directory.path, 'key')
  await writeFile(file, key.toString())
  const trust = ['--trusted-key', key.publicKey().toString()]
  await using node = await startDaemon({ args: ['--no-mdns', ...trust] })
  const cairn = (...args: string[]) => runCairn(args, { env: { CAIRN_RPC: node.rpc } })
  await writeFile(join(directory.path, 'content'), 'signed')
  const path = (await cairn('import', join(directory.path, 'content'))).stdout.trim()

  const signed = await cairn('key', 'sign', '--key', file, path)
  expect(signed).toEqual({ code: 0, stdout: '1 signed\n', stderr: '' })
  const json = await cairn('key', 'sign', '--json', '--key', file, path)
  expect(JSON.parse(json.stdout)).toEqual({ signed: [path] })
  const narInfo = await (await fetch(`${node.gatewayUrl}/${path.slice(11, 43)}.narinfo`)).text()
  const ours = narInfo.split('\n').filter((it) => it.startsWith('Sig: '))

  expect((await nix('nix-store', ['--add', join(directory.path, 'content')])).trim()).toBe(path)
  await nix('nix', ['store', 'sign', '-k', file, path])
  const [info] = JSON.parse(await nix('nix', ['path-info', '--json', path]))
  expect(ours).toEqual(info.signatures.map((it: string) => `Sig: ${it}`))
  await nix('nix-store', ['--delete', path])

  const absent = path.replace('-content', '-absent').replace(/store\/../, 'store/00')
  const failed = await cairn('key', 'sign', '--key', file, absent)
  expect(failed).toEqual({
    code: 1,
    stdout: '',
    stderr: `cairn: the node does not hold ${absent}\n`,
  })
})
