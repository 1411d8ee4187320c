import { join } from 'node:path'
import { Adoption } from '../../src/adoption/adoption.ts'
import { StoreFiles } from '../../src/adoption/store-files.ts'
import type { Castore } from '../../src/castore/castore.ts'
import { Leases } from '../../src/castore/leases.ts'
import { MemoryRecordStore } from '../../src/castore/stores/memory-record-store.ts'
import { recordCastore } from '../../src/castore/stores/record-castore.ts'
import { StoreUpkeep } from '../../src/daemon/store-upkeep.ts'
import { AccessTokens, TokenHash } from '../../src/foundation/access-token.ts'
import type { Clock } from '../../src/foundation/clock.ts'
import type { ListenAddress } from '../../src/foundation/listen-address.ts'
import { silentLog } from '../../src/foundation/log.ts'
import { systemClock } from '../../src/foundation/system-clock.ts'
import { systemRandom } from '../../src/foundation/system-random.ts'
import { ingestNar } from '../../src/nar/ingest-nar.ts'
import { NamedDocumentStore } from '../../src/pathinfo/named-document-store.ts'
import { OwnerSharing } from '../../src/pathinfo/owner-sharing.ts'
import { ShareChoices } from '../../src/pathinfo/share-choices.ts'
import { SharePolicy, type ShareRules } from '../../src/pathinfo/share-policy.ts'
import { SharedContent } from '../../src/pathinfo/shared-content.ts'
import type { Signer } from '../../src/pathinfo/signer.ts'
import { MemoryShareMarks } from '../../src/pathinfo/stores/memory-share-marks.ts'
import { RecordPathInfoStore } from '../../src/pathinfo/stores/record-path-info-store.ts'
import { TrustPolicy } from '../../src/pathinfo/trust-policy.ts'
import { UploadedNarStore } from '../../src/pathinfo/uploaded-nar-store.ts'
import { Janitor } from '../../src/retention/janitor.ts'
import { PathUses } from '../../src/retention/path-uses.ts'
import { Pins } from '../../src/retention/pins.ts'
import { NodeClient } from '../../src/rpc/node-client.ts'
import type { NodeStatus, PeerStatus, SourceStatus } from '../../src/rpc/node-view.ts'
import type { PushTargets } from '../../src/rpc/push-calls.ts'
import { type RpcInit, RpcServer } from '../../src/rpc/rpc-server.ts'
import { OwnerIntake } from '../../src/substitution/owner-intake.ts'
import { PathContents } from '../../src/substitution/path-contents.ts'
import type { PathSource } from '../../src/substitution/path-source.ts'
import { Substituter } from '../../src/substitution/substituter.ts'
import { KEYS } from '../fixtures/claims.ts'
import { call } from '../fixtures/content.ts'
import { temporaryDirectory } from '../fixtures/temporary-directory.ts'
import { watched } from '../fixtures/watched.ts'
import { inPieces, narOf, SMALL } from '../nar/trees.ts'

export const STATUS: NodeStatus = {
  version: '1.2.3',
  peerId: 'me',
  listening: ['/ip4/127.0.0.1/tcp/1', '/ip4/127.0.0.1/tcp/2'],
  uptimeMs: 2 ** 40,
  stateDirectory: '/state',
  gateway: 'http://127.0.0.1:9000',
  peers: 2,
  storePaths: 3,
  chunks: 4,
  directories: 5,
  logicalBytes: 2000,
  uniqueBytes: 1500,
  storedBytes: 2 ** 50,
  residentBytes: 6,
  bytesServed: 7,
  bytesFetched: 8,
  trustedKeys: ['a', 'b'],
  signingKey: undefined,
}

/** What the node behind the server says of its sources. */
export const SOURCES: SourceStatus[] = [
  {
    ...{ name: 'peers', priority: 0, state: 'ready', asked: 5, hits: 3, faults: 0 },
    ...{ latencyMs: 1.5, lastFault: undefined },
  },
  {
    ...{ name: 'https://cache.example', priority: 40, state: 'benched', asked: 2, hits: 0 },
    ...{ faults: 2, latencyMs: undefined, lastFault: { what: 'it is down', atMs: 1_700_000 } },
  },
]

export const PEERS: PeerStatus[] = [
  {
    ...{ id: 'one', address: '/ip4/1.2.3.4/tcp/5', standing: 'welcome', bytesReceived: 1 },
    ...{ bytesSent: 2 ** 50, receiveRate: 10, sendRate: 0, latencyMs: 3, isConnected: true },
    ...{ reason: undefined, sinceMs: undefined },
  },
  {
    ...{ id: 'two', address: '', standing: 'banned', bytesReceived: 0, bytesSent: 0 },
    ...{ receiveRate: 0, sendRate: 0, latencyMs: undefined, isConnected: false },
    ...{ reason: 'it lied', sinceMs: 1_700_000_000_000 },
  },
]

/** A token that the test nodes take. */
export const TOKEN = 'cairn_token'

export interface TestNodeInit extends Partial<RpcInit> {
  readonly signer?: Signer
  readonly source?: PathSource
  readonly clock?: Clock
  /** What it shares; by default what key a signed. */
  readonly share?: ShareRules
  /** Where it can push to; nowhere by default. */
  readonly targets?: PushTargets
  /** A Unix socket instead of a TCP port. */
  readonly unix?: boolean
  /** Stands between the server and the castore that is held in memory. */
  readonly around?: (castore: Castore) => Castore
}

/** Where nothing can be pushed. */
const NO_TARGETS: PushTargets = {
  open: async () => {
    throw new Error('nowhere to push to')
  },
}

/** Where nothing can be had anew. */
const NOBODY = {
  fetchBlob: async () => false,
  openBlob: async () => undefined,
  fetchDirectories: async () => false,
}

/** A gRPC server with everything behind it in memory, and a client of it. It trusts key a. */
export async function testNode(init: TestNodeInit = {}) {
  const directory = init.unix === true ? await temporaryDirectory() : undefined
  const records = new MemoryRecordStore()
  const castore = recordCastore({ records })
  const pathInfos = new RecordPathInfoStore({ records })
  const uploads = new UploadedNarStore({ records })
  const trust = new TrustPolicy({}, { trustedKeys: [KEYS.a.publicKey()] })
  const choices = await ShareChoices.load({ records }, call)
  const share = new SharePolicy({ trust, choices }, init.share)
  const clock = init.clock ?? systemClock
  const base = { castore, pathInfos, trust, clock, log: silentLog }
  const shared = new SharedContent({ ...base, share, marks: new MemoryShareMarks() })
  const sharing = new OwnerSharing({ pathInfos, choices, shared, trust })
  await shared.start()
  const intake = new OwnerIntake({ pathInfos, trust, shared, signer: init.signer })
  const sources = init.source === undefined ? [] : [init.source]
  const substituter = new Substituter({ ...base, sources: watched(...sources) })
  const leases = new Leases()
  const uses = new PathUses({ records, pathInfos, clock, log: silentLog })
  const pins = new Pins({ records, pathInfos, clock })
  const documents = new NamedDocumentStore({ records, castore })
  const kept = { ...base, keeper: records, uploads, documents, uses, pins, leases }
  const far = { name: 'nobody', ...NOBODY }
  const files = new StoreFiles()
  const adoption = new Adoption({ ...kept, records, trust, intake, files })
  const upkeep = new StoreUpkeep({ ...kept, far, janitor: new Janitor(kept), adoption })
  const pardon = (peers: readonly string[]): string[] => peers.filter((it) => it === 'two')
  const view = { status: async () => STATUS, peers: () => PEERS, sources: () => SOURCES, pardon }
  const census = {
    count: async (hashes: readonly Uint8Array[]) => [
      { peer: 'one', pathsHeld: hashes.length, sendRate: 1.4, receiveRate: 0 },
      { peer: 'two', pathsHeld: 0, sendRate: 0, receiveRate: 0 },
    ],
  }
  const tokens = new AccessTokens({}, { hashes: [TokenHash.of('someone', TOKEN)] })
  const address: ListenAddress =
    directory === undefined
      ? { kind: 'tcp', host: '127.0.0.1', port: 0 }
      : { kind: 'unix', path: join(directory.path, 'rpc.sock') }
  const server = new RpcServer(
    {
      ...{ ...base, castore: init.around?.(castore) ?? castore },
      ...{
        census,
        targets: init.targets ?? NO_TARGETS,
        random: systemRandom,
        view,
        upkeep,
        leases,
        intake,
        uploads,
        substituter,
        tokens,
        sharing,
        others: shared,
      },
      paths: new PathContents({ substituter, contents: castore }),
    },
    { address, ...init },
  )
  await server.start()
  const client = new NodeClient({}, { address: server.address })
  const upload = async (): Promise<Uint8Array> => {
    const nar = await ingestNar(inPieces(narOf(SMALL), [1000]), castore, call)
    await uploads.put('x.nar', { ...nar, compression: 'none' }, call)
    return nar.narSha256
  }
  return {
    ...{ server, address: server.address, client, intake, castore, pathInfos, substituter, upload },
    ...{ shared, sharing },
    [Symbol.asyncDispose]: async () => {
      client[Symbol.dispose]()
      await server.stop()
      await shared.stop()
      await directory?.[Symbol.asyncDispose]()
    },
  }
}
