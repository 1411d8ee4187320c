import { expect, test } from 'vitest'
import { parseRemoteUrl } from '../../../src/rpc/remote/remote-url.ts'

test.each([
  ['grpc+http://cache:8000', 'cache:8000', false, 'grpc+http://cache:8000'],
  ['grpc+http://cache', 'cache:8000', false, 'grpc+http://cache:8000'],
  ['grpc+http://cache:80/', 'cache:80', false, 'grpc+http://cache:80'],
  ['grpc+http://[::1]:8000', '[::1]:8000', false, 'grpc+http://[::1]:8000'],
  ['grpc+https://cache', 'cache:443', true, 'grpc+https://cache:443'],
  ['grpc+https://cache:8443/', 'cache:8443', true, 'grpc+https://cache:8443'],
  ['grpc+unix:///run/store.sock', 'unix:/run/store.sock', false, 'grpc+unix:///run/store.sock'],
])('%s is a store', (url, address, isSecure, name) => {
  expect(parseRemoteUrl(url)).toEqual({ address, isSecure, name })
})

test.each([
  'grpc://cache',
  'http://cache',
  'grpc+http://',
  'grpc+http://cache/path',
  'grpc+http://cache?x',
  'grpc+unix://relative',
  'grpc+http://user:secret@cache',
  'grpc+http://cache:99999',
])('%s is none, and no password is shown', (url) => {
  expect(() => parseRemoteUrl(url)).toThrow(/grpc\+(http|unix)/)
  expect(() => parseRemoteUrl(url)).not.toThrow(/secret/)
})
