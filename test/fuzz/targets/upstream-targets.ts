import { utf8Text } from '../../../src/foundation/bytes.ts'
import { KnownHosts } from '../../../src/upstream/known-hosts.ts'
import { Netrc, NetrcError } from '../../../src/upstream/netrc.ts'
import { parseUpstreamUrl, UpstreamUrlError } from '../../../src/upstream/upstream-url.ts'
import { type FuzzTarget, holds } from '../fuzz-target.ts'

const KEY = 'AAAAC3NzaC1lZDI1NTE5AAAAIAcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH'

/** What owners write about caches. */
export const UPSTREAM_TARGETS: readonly FuzzTarget[] = [
  {
    name: 'upstream-url',
    seeds: [
      'https://user:word@cache.example.org:8080/a/b?priority=10&trusted=true',
      'file:///mnt/cache',
      's3://bucket/prefix?region=eu-west-1&endpoint=minio:9000&scheme=http&profile=me',
      'sftp://me@host:2222/srv/cache?ssh-key=/a/file',
    ].map((it) => Buffer.from(it)),
    dictionary: ['://', '@', ':', '/', '?', '&', '=', '%2F', '%00', '..', '[::1]', 'priority'],
    isRefusal: (error) => error instanceof UpstreamUrlError,
    check: (input) => {
      const text = utf8Text(input)
      if (text === undefined) return
      const { name, location } = parseUpstreamUrl(text)
      holds(!name.includes('@') || location.kind !== 'http', 'a name shows nobody')
      if (location.kind !== 'http') return
      holds(location.base.username === '' && location.base.search === '', 'a base is bare')
      holds(location.base.pathname.endsWith('/'), 'names can be joined to a base')
    },
  },
  {
    name: 'netrc',
    seeds: ['machine a login b password "c d"\nmacdef x\nfoo\n\ndefault login e password f'].map(
      (it) => Buffer.from(it),
    ),
    dictionary: ['machine', 'default', 'login', 'password', 'account', 'macdef', '"', '\\', '#'],
    isRefusal: (error) => error instanceof NetrcError,
    check: (input) => {
      const text = utf8Text(input)
      if (text === undefined) return
      const netrc = Netrc.parse(text)
      const other = netrc.credentialsFor('nobody.has.this.name')
      holds(other === undefined || text.includes('default'), 'others have the default alone')
    },
  },
  {
    name: 'known-hosts',
    seeds: [
      `a,[b]:22,*.c ssh-ed25519 ${KEY}\n@revoked * ssh-rsa ${KEY}\n|1|c2FsdA==|aGFzaA== x ${KEY}`,
    ].map((it) => Buffer.from(it)),
    dictionary: ['*', '?', '!', ',', '[', ']:', '|1|', '@revoked', '@cert-authority', 'ssh-rsa'],
    isRefusal: () => false,
    check: (input) => {
      const known = KnownHosts.parse(utf8Text(input) ?? '').of('host', 2222)
      holds(!known.isKnownBy(Buffer.from('a key that nobody has')), 'nobody is known by chance')
    },
  },
]
