import { join } from 'node:path'
import type { Castore } from '../../src/castore/castore.ts'
import { Leases } from '../../src/castore/leases.ts'
import type { RecordKind, StoredRecord } from '../../src/castore/record-store.ts'
import { MemoryRecordStore } from '../../src/castore/stores/memory-record-store.ts'
import { recordCastore } from '../../src/castore/stores/record-castore.ts'
import { SegmentRecordStore } from '../../src/castore/stores/segment-record-store.ts'
import { AccessTokens, TokenHash } from '../../src/foundation/access-token.ts'
import type { Call } from '../../src/foundation/call.ts'
import type { Clock } from '../../src/foundation/clock.ts'
import { silentLog } from '../../src/foundation/log.ts'
import { SpoolDirectory } from '../../src/foundation/spool.ts'
import { systemClock } from '../../src/foundation/system-clock.ts'
import { Gateway } from '../../src/gateway/gateway.ts'
import type { GatewayLimits } from '../../src/gateway/gateway-limits.ts'
import { ingestNar } from '../../src/nar/ingest-nar.ts'
import type { NarSource } from '../../src/nar/render-nar.ts'
import type { PublicKey } from '../../src/nix/key.ts'
import type { StorePath } from '../../src/nix/store-path.ts'
import { NamedDocumentStore } from '../../src/pathinfo/named-document-store.ts'
import type { PathInfo } from '../../src/pathinfo/path-info.ts'
import type { LocalPathInfoStore } from '../../src/pathinfo/path-info-store.ts'
import { SharePolicy, type ShareRules } from '../../src/pathinfo/share-policy.ts'
import { SharedContent } from '../../src/pathinfo/shared-content.ts'
import { MemoryShareMarks } from '../../src/pathinfo/stores/memory-share-marks.ts'
import { RecordPathInfoStore } from '../../src/pathinfo/stores/record-path-info-store.ts'
import { TrustPolicy } from '../../src/pathinfo/trust-policy.ts'
import { UploadedNarStore } from '../../src/pathinfo/uploaded-nar-store.ts'
import { ClosureAhead } from '../../src/substitution/closure-ahead.ts'
import { OwnerIntake } from '../../src/substitution/owner-intake.ts'
import type { PathSource } from '../../src/substitution/path-source.ts'
import { Substituter } from '../../src/substitution/substituter.ts'
import { pathNamed } from '../fixtures/claims.ts'
import { call } from '../fixtures/content.ts'
import { temporaryDirectory } from '../fixtures/temporary-directory.ts'
import { watched } from '../fixtures/watched.ts'
import { inPieces, narOf, type Tree } from '../nar/trees.ts'

/** A gateway on a free port, with all that is behind it but other nodes. */
export interface TestGateway extends AsyncDisposable {
  readonly url: string
  readonly port: number
  readonly gateway: Gateway
  readonly castore: Castore
  readonly pathInfos: LocalPathInfoStore
  /** What strangers may read. */
  readonly others: SharedContent
  readonly records: ForgetfulRecordStore | SegmentRecordStore
  /** Takes a tree in as its owner does. */
  hold(name: string, tree: Tree): Promise<PathInfo>
}

export interface TestGatewayInit {
  readonly storage?: 'memory' | 'segments'
  /** Where segments are; by default a new directory, which goes with the gateway. */
  readonly directory?: string
  readonly host?: string
  readonly sources?: readonly PathSource[]
  readonly limits?: Partial<GatewayLimits>
  readonly clock?: Clock
  /** Where parts are read from of what is not held; the castore itself by default. */
  readonly contents?: (castore: Castore) => NarSource
  /** Whose signatures count; nobody's by default. */
  readonly trustedKeys?: readonly PublicKey[]
  /** What it shares; by default what a trusted key signed. */
  readonly share?: ShareRules
  /** A socket file to listen at, in place of a port. */
  readonly socketPath?: string
}

/** The token that writes to every test gateway, from wherever. */
export const TOKEN = 'cairn_test-token'

/** Starts a gateway; disposing of it stops it. */
export async function testGateway(init: TestGatewayInit = {}): Promise<TestGateway> {
  await using stack = new AsyncDisposableStack()
  const records = init.storage === 'segments' ? await segments() : new ForgetfulRecordStore()
  const castore = recordCastore({ records })
  const pathInfos = new RecordPathInfoStore({ records })
  const uploads = new UploadedNarStore({ records })
  const trust = new TrustPolicy({}, { trustedKeys: init.trustedKeys ?? [] })
  const share = new SharePolicy({ trust }, init.share)
  const base = { castore, pathInfos, trust, clock: init.clock ?? systemClock, log: silentLog }
  const others = new SharedContent({ ...base, share, marks: new MemoryShareMarks() })
  await others.start()
  stack.defer(() => others.stop())
  const intake = new OwnerIntake({ pathInfos, trust, shared: others })
  const spools = await SpoolDirectory.open(stack.use(await temporaryDirectory()).path)
  const sources = watched(...(init.sources ?? []))
  const substituter = new Substituter({ ...base, sources, spools })
  const ahead = new ClosureAhead({ substituter, ...base })
  stack.defer(() => ahead.stop())
  const documents = new NamedDocumentStore({ records, castore })
  const tokens = new AccessTokens({}, { hashes: [TokenHash.of('tester', TOKEN)] })
  const contents = init.contents?.(castore) ?? castore
  const leases = new Leases()
  const keeping = { uploads, documents, leases }
  const serving = { ...base, ...keeping, contents, substituter, ahead, intake, tokens, others }
  const gateway = new Gateway(serving, {
    address:
      init.socketPath === undefined
        ? { kind: 'tcp', host: init.host ?? '127.0.0.1', port: 0 }
        : { kind: 'unix', path: init.socketPath },
    limits: init.limits ?? {},
  })
  await gateway.start()
  stack.defer(() => gateway.stop())
  const owned = stack.move()
  return {
    url: gateway.url,
    port: init.socketPath === undefined ? Number(new URL(gateway.url).port) : 0,
    ...{ gateway, castore, pathInfos, records, others },
    hold: async (name, tree) => {
      const ingested = await ingestNar(inPieces(narOf(tree), [1 << 20]), castore, call)
      const fields = { storePath: pathNamed(name), references: [], ...ingested }
      return (await intake.take(fields, call)).pathInfo
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }

  async function segments(): Promise<SegmentRecordStore> {
    const directory = init.directory ?? stack.use(await temporaryDirectory()).path
    const opened = await SegmentRecordStore.open({
      directory: join(directory, 'store'),
      log: silentLog,
    })
    stack.defer(() => opened.close())
    return opened
  }
}

/** Records that can be lost while they are in use, and a disk that can be full. */
export class ForgetfulRecordStore extends MemoryRecordStore {
  /** Which kinds have been lost. */
  readonly #lost = new Set<RecordKind>()
  /** What the next puts fail with. */
  failure: Error | undefined
  /** How many more chunks can be read; all by default. */
  chunksLeft = Number.POSITIVE_INFINITY

  override async get(
    kind: RecordKind,
    keys: readonly Uint8Array[],
    call: Call,
  ): Promise<(Uint8Array | undefined)[]> {
    const records = await super.get(kind, keys, call)
    if (this.#lost.has(kind)) return records.map(() => undefined)
    if (kind !== 'chunk') return records
    return records.map((it) => (this.chunksLeft-- > 0 ? it : undefined))
  }

  override async sizes(
    kind: RecordKind,
    keys: readonly Uint8Array[],
    call: Call,
  ): Promise<(number | undefined)[]> {
    const sizes = await super.sizes(kind, keys, call)
    return this.#lost.has(kind) ? sizes.map(() => undefined) : sizes
  }

  override async put(
    kind: RecordKind,
    records: readonly StoredRecord[],
    call: Call,
  ): Promise<void> {
    if (this.failure !== undefined) throw this.failure
    await super.put(kind, records, call)
  }

  /** From now on, nothing of that kind is here, until it is {@link found} again. */
  forget(kind: RecordKind): void {
    this.#lost.add(kind)
  }

  /** All that was lost is here again. */
  found(): void {
    this.#lost.clear()
  }
}

/** The URL of a path's narinfo. */
export function narInfoUrl({ url }: TestGateway, storePath: StorePath): string {
  return `${url}/${storePath.hashText}.narinfo`
}
