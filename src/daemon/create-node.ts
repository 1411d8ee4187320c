import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Adoption } from '../adoption/adoption.ts'
import { BuiltPaths } from '../adoption/built-paths.ts'
import { StoreFiles } from '../adoption/store-files.ts'
import { StoreFollower } from '../adoption/store-follower.ts'
import type { Castore } from '../castore/castore.ts'
import { Leases } from '../castore/leases.ts'
import { ChunkPacker } from '../castore/stores/chunk-packer.ts'
import { recordCastore } from '../castore/stores/record-castore.ts'
import { SegmentRecordStore } from '../castore/stores/segment-record-store.ts'
import { AccessTokens } from '../foundation/access-token.ts'
import { unhurriedCall } from '../foundation/call.ts'
import type { Clock } from '../foundation/clock.ts'
import type { Log, LogOf } from '../foundation/log.ts'
import { RateLimit } from '../foundation/rate-limit.ts'
import { type Service, startAll, stopAll, stoppedTogether } from '../foundation/service.ts'
import { SpoolDirectory } from '../foundation/spool.ts'
import { systemClock } from '../foundation/system-clock.ts'
import { systemRandom } from '../foundation/system-random.ts'
import { Gateway } from '../gateway/gateway.ts'
import { SecretKey } from '../nix/key.ts'
import { NamedDocumentStore } from '../pathinfo/named-document-store.ts'
import { OwnerSharing } from '../pathinfo/owner-sharing.ts'
import type { LocalPathInfoStore } from '../pathinfo/path-info-store.ts'
import { ShareChoices } from '../pathinfo/share-choices.ts'
import { SharePolicy } from '../pathinfo/share-policy.ts'
import { SharedContent } from '../pathinfo/shared-content.ts'
import { Signer } from '../pathinfo/signer.ts'
import { LevelShareMarks } from '../pathinfo/stores/level-share-marks.ts'
import { RecordPathInfoStore } from '../pathinfo/stores/record-path-info-store.ts'
import { TrustPolicy } from '../pathinfo/trust-policy.ts'
import { UploadedNarStore } from '../pathinfo/uploaded-nar-store.ts'
import { Announcer } from '../peers/announcer.ts'
import { ExchangeClient } from '../peers/exchange/exchange-client.ts'
import { ExchangeServer } from '../peers/exchange/exchange-server.ts'
import { FilterServing } from '../peers/filters/filter-serving.ts'
import { NeighbourFilters } from '../peers/filters/neighbour-filters.ts'
import { SharedPaths } from '../peers/filters/shared-paths.ts'
import { HolderCensus } from '../peers/holder-census.ts'
import { Host } from '../peers/host.ts'
import { loadIdentity } from '../peers/identity.ts'
import { PathAsker } from '../peers/path-asker.ts'
import { Patience } from '../peers/patience.ts'
import { PeerContentSource } from '../peers/peer-content-source.ts'
import { PeerSource } from '../peers/peer-source.ts'
import { PullProofs } from '../peers/pulls/pull-proofs.ts'
import { SharedPulls } from '../peers/pulls/shared-pulls.ts'
import { DhtRouter } from '../peers/routing/dht-router.ts'
import { FileBanList } from '../peers/standing/file-ban-list.ts'
import { PeerLedger } from '../peers/standing/peer-ledger.ts'
import { SwarmAccess, SwarmCastore, Swarms } from '../peers/swarm/swarms.ts'
import { Janitor } from '../retention/janitor.ts'
import { PathUses } from '../retention/path-uses.ts'
import { Pins } from '../retention/pins.ts'
import { RpcServer } from '../rpc/rpc-server.ts'
import { ClosureAhead } from '../substitution/closure-ahead.ts'
import { OwnerIntake } from '../substitution/owner-intake.ts'
import { PathContents } from '../substitution/path-contents.ts'
import { SourceWatch } from '../substitution/source-watch.ts'
import { Substituter } from '../substitution/substituter.ts'
import { SubstitutingCastore } from '../substitution/substituting-castore.ts'
import type { Config } from './config.ts'
import { ConfigError } from './config-error.ts'
import { DaemonView } from './daemon-view.ts'
import { HeldSize } from './held-size.ts'
import { Mirror, type MirrorComponents } from './mirror.ts'
import { ConfiguredPushTargets } from './push-targets.ts'
import { builtDirectory } from './state-directory.ts'
import { StoreUpkeep } from './store-upkeep.ts'
import type { OpenUpstream } from './upstreams.ts'
import { YoungCollector } from './young-collector.ts'

/** A node with all its parts, ready to be started. */
export interface Node extends Service {
  readonly gateway: Gateway
  readonly rpc: RpcServer
  readonly host: Host
}

/**
 * Puts a node together: opens its store and wires its parts, nothing else. It meets nobody and
 * listens nowhere before `start`.
 */
export async function createNode(components: { logOf: LogOf }, config: Config): Promise<Node> {
  const { logOf } = components
  const clock = systemClock
  const signer = await loadSigner(config.signing_key)
  const trustedKeys = [...config.trusted_keys, ...(signer === undefined ? [] : [signer.publicKey])]

  // What is held.
  const storage = await openStorage(config, logOf)
  const { records, pathInfos, uses } = storage

  // Who is believed, and what leaves the machine.
  const trust = new TrustPolicy({}, { trustedKeys })
  const { shared, sharing } = await openSharing({ ...storage, trust, logOf }, config)
  const intake = new OwnerIntake({ pathInfos, trust, shared, signer })

  // Who else there is.
  const peers = await joinPeers({ ...storage, access: shared, log: logOf('peers') }, config)

  // Answers, from here or from elsewhere.
  const asking = { trust, log: logOf('substitution') }
  const spools = await SpoolDirectory.open(join(config.state, 'arriving'))
  const opening = { clock, log: logOf('upstream') }
  const upstreams = await openUpstreams(opening, config)
  const answers = answerWith({ ...storage, ...peers, ...asking, upstreams, spools }, config)
  const { substituter, ahead, around, paths } = answers

  // What is kept, and for how long.
  const { max_bytes: maxBytes, max_age: maxAgeMs } = config.store
  const keeping = { keeper: records, clock, log: logOf('retention') }
  const janitor = new Janitor({ ...storage, ...keeping }, { maxBytes, maxAgeMs })
  const adopting = adoptFrom({ ...storage, trust, intake, log: logOf('adoption') }, config)
  const { adoption } = adopting
  const keepers = { janitor, adoption, far: peers.content }
  const upkeep = new StoreUpkeep({ ...storage, ...keeping, ...keepers })

  // The faces.
  const tokens = new AccessTokens({}, { hashes: config.tokens })
  const facing = { substituter, ahead, trust, intake, tokens, others: shared, clock }
  const contents = { contents: around.contents, log: logOf('gateway') }
  const gateway = new Gateway({ ...storage, ...facing, ...contents }, { address: config.gateway })
  const heldSize = new HeldSize({ pathInfos, clock })
  const keys = { trustedKeys, signer }
  const seen = { ...peers, sources: answers.sources, gateway, ...keys }
  const view = new DaemonView({ config, clock, records, heldSize, ...seen })
  const { census } = peers
  const targets = new ConfiguredPushTargets({ ...storage, trust, spools, clock }, config)
  const owning = { view, upkeep, census, sharing, paths, targets, random: systemRandom }
  const owned = { ...owning, castore: around, log: logOf('rpc') }
  const rpc = new RpcServer({ ...storage, ...facing, ...owned }, { address: config.rpc })

  // Started in this order and stopped in the other: who answers 200 has all the rest behind it.
  const services: Service[] = [
    new YoungCollector(),
    { name: 'store', start: async () => undefined, stop: () => records.close() },
    uses,
    shared,
    ...peers.services,
    ...upstreams,
    ...answers.services,
    janitor,
    ...adopting.services,
    ...mirrorsOf({ ...storage, targets, signer, log: logOf('push') }, config),
    // Each gives what is under way some seconds: one after the other would be too long.
    stoppedTogether('faces', [rpc, gateway]),
  ]
  const start = (): Promise<void> => startAll(services)
  const stop = (): Promise<void> => stopAll(services)
  return { name: 'node', gateway, rpc, host: peers.host, start, stop }
}

/** What is taken in of the machine's own store: what Nix builds, or all where that is wished. */
function adoptFrom(
  components: Awaited<ReturnType<typeof openStorage>> & {
    trust: TrustPolicy
    intake: OwnerIntake
    log: Log
  },
  { state, adopt }: Config,
) {
  const clock = systemClock
  const adoption = new Adoption(components, { root: adopt.root })
  const following = { adoption, clock, log: components.log }
  const services: Service[] = [new BuiltPaths(following, { directory: builtDirectory(state) })]
  if (adopt.follow) services.push(new StoreFollower(following, { which: adopt.paths }))
  return { adoption, services }
}

/** What the node signs goes to a cache, where that is wished and the node has a key. */
function mirrorsOf(
  {
    signer,
    ...components
  }: Omit<MirrorComponents, 'clock' | 'random'> & {
    signer: Signer | undefined
  },
  { push }: Config,
): readonly Mirror[] {
  if (push.to === undefined) return []
  if (signer === undefined) {
    throw new ConfigError(['push.to mirrors what the node signs: it takes a signing_key, too'])
  }
  const ports = { clock: systemClock, random: systemRandom }
  const { to, compression } = push
  return [
    new Mirror({ ...components, ...ports }, { to, compression, keyName: signer.publicKey.name }),
  ]
}

/** What a cache needs is loaded where there is one: a node without starts sooner. */
async function openUpstreams(
  components: { clock: Clock; log: Log },
  { upstream }: Config,
): Promise<readonly OpenUpstream[]> {
  if (upstream.length === 0) return []
  const { openUpstream } = await import('./upstreams.ts')
  return await Promise.all(upstream.map((it) => openUpstream(components, it)))
}

async function openStorage(config: Config, logOf: LogOf) {
  await mkdir(config.state, { recursive: true, mode: 0o755 })
  const directory = join(config.state, 'store')
  const files = new StoreFiles()
  const records = await SegmentRecordStore.open({
    directory,
    log: logOf('store'),
    elsewhere: files,
  })
  const packer = new ChunkPacker({}, { level: config.store.compression_level })
  const castore = recordCastore({ records, packer })
  const pathInfos = new RecordPathInfoStore({ records })
  const clock = systemClock
  return {
    records,
    castore,
    pathInfos,
    files,
    leases: new Leases(),
    uses: new PathUses({ records, pathInfos, clock, log: logOf('retention') }),
    pins: new Pins({ records, pathInfos, clock }),
    uploads: new UploadedNarStore({ records }),
    documents: new NamedDocumentStore({ records, castore }),
  }
}

async function openSharing(
  components: Awaited<ReturnType<typeof openStorage>> & { trust: TrustPolicy; logOf: LogOf },
  config: Config,
) {
  const { records, castore, pathInfos, trust, logOf } = components
  const log = logOf('sharing')
  const choices = await ShareChoices.load({ records }, unhurriedCall())
  const share = new SharePolicy({ trust, choices }, config.share)
  const marks = await LevelShareMarks.open(join(config.state, 'shared'), log)
  const clock = systemClock
  const shared = new SharedContent({ castore, pathInfos, share, marks, clock, log })
  return { shared, sharing: new OwnerSharing({ pathInfos, choices, shared, trust }) }
}

async function joinPeers(
  components: { castore: Castore; pathInfos: LocalPathInfoStore; access: SharedContent; log: Log },
  config: Config,
) {
  const { castore, pathInfos, access, log } = components
  const clock = systemClock
  const random = systemRandom
  const bans = await FileBanList.open(join(config.state, 'banned-peers'), log)
  const ledger = new PeerLedger({ clock, bans })
  const identity = await loadIdentity(join(config.state, 'identity'))
  const datastorePath = join(config.state, 'libp2p')
  const isBanned = (peer: string): boolean => ledger.standing(peer) === 'banned'
  const host = await Host.open({ clock, log, identity, datastorePath, isBanned }, config)

  // Asking.
  const router = new DhtRouter({ routing: host.contentRouting, self: host.id, clock })
  const downloads = limitOf(config.peers.download_rate)
  const client = new ExchangeClient({ network: host, ledger, clock, log }, { downloads })
  const fetching = { castore, client, ledger, network: host, clock, random, log }
  const swarms = new Swarms({ clock, access })
  const filters = new NeighbourFilters({ client, network: host, clock, log })
  const patience = new Patience({ clock, network: host, filters, ledger })
  const asker = new PathAsker({ client, patience })
  const finding = { router, asker, patience, self: host.id, swarms, filters }
  const proofs = new PullProofs({ castore, pathInfos, client, clock, log })
  const pulls = new SharedPulls({ ...fetching, ...finding, access, proofs })
  const source = new PeerSource({ ...fetching, ...finding })
  const content = new PeerContentSource({ ...fetching, underWay: swarms })
  const stopAsking = async (): Promise<void> => {
    asker.stop()
    pulls.stop()
    swarms.stop()
    client.close()
  }
  const asking: Service = { name: 'asking', start: async () => undefined, stop: stopAsking }

  // Answering and announcing.
  const serving = {
    castore: new SwarmCastore({ castore, swarms }),
    access: new SwarmAccess({ access, swarms }),
  }
  const uploads = limitOf(config.peers.upload_rate)
  const paths = new SharedPaths({ pathInfos, shared: access, log })
  const telling = { swarms, pulls, filters: new FilterServing({ paths, clock }), uploads }
  const answering = { ...serving, pathInfos, ...telling, clock, offences: client, log }
  const server = new ExchangeServer(answering)
  host.onChannel((peer, channel) => void server.serve(peer, channel))
  const announcing = { router, pathInfos, castore, share: access, clock, log }
  const rate = { bytesPerSecond: config.announce_rate }
  const announcer = new Announcer(announcing, { mode: config.announce, ...rate })

  const census = new HolderCensus({ ...fetching, asker, traffic: host.traffic })
  const services = [bans, paths, host, proofs, asking, filters, announcer]
  return { host, ledger, source, pulls, content, census, services }
}

function limitOf(bytesPerSecond: number | undefined): RateLimit | undefined {
  if (bytesPerSecond === undefined) return undefined
  return new RateLimit({ clock: systemClock }, { bytesPerSecond })
}

/** Wires who answers for what is not held to those who may have it. */
function answerWith(
  components: Awaited<ReturnType<typeof openStorage>> & {
    host: Host
    source: PeerSource
    pulls: SharedPulls
    content: PeerContentSource
    trust: TrustPolicy
    upstreams: readonly OpenUpstream[]
    spools: SpoolDirectory
    log: Log
  },
  config: Config,
) {
  const { host, source: peers, upstreams, content, castore, log } = components
  const clock = systemClock
  const all = [peers, ...upstreams.map(({ source }) => source)]
  const sources = all.map((source) => new SourceWatch({ source, clock, log }))
  const substituter = new Substituter({ ...components, sources, clock })
  const ahead = new ClosureAhead({ substituter, clock, log }, { bytesMax: config.ahead })
  const around = new SubstitutingCastore({ near: castore, far: content, clock })
  host.onConnect(() => {
    substituter.forgetMisses()
    around.forgetMisses()
  })
  const paths = new PathContents({ substituter, contents: around.contents })
  return { substituter, ahead, around, paths, sources, services: [...sources, ahead] }
}

async function loadSigner(path: string | undefined): Promise<Signer | undefined> {
  if (path === undefined) return undefined
  try {
    return new Signer({ key: SecretKey.parse((await readFile(path, 'utf8')).trim()) })
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    const what = `the signing key in ${path} can not be used: ${why}`
    throw new ConfigError([`${what}; \`cairn key generate\` makes one`], { cause })
  }
}
