/** A guard of the house: a place in the source, and how to undo it. */
export interface Guard {
  readonly name: string
  /** Path below the project's root. */
  readonly file: string
  /** The text of the guard, which occurs in the file exactly once. */
  readonly guard: string
  /** What it is replaced by, so that the program still runs but no longer guards. */
  readonly undone: string
  /** Tests that must go red then. */
  readonly tests: readonly string[]
}

/** The guards that the rest relies on; `npm run guards` undoes each and runs its tests. */
export const GUARDS: readonly Guard[] = [
  {
    name: 'trust policy: what nobody trusted has signed is refused',
    file: 'src/pathinfo/trust-policy.ts',
    guard: '    throw this.#refusal(pathInfo)',
    undone: "    return mint(pathInfo, 'nix-signature', false)",
    tests: ['test/pathinfo/trust-policy.test.ts', 'test/peers/cast.test.ts'],
  },
  {
    name: 'trust policy: a signature is verified',
    file: 'src/pathinfo/trust-policy.ts',
    guard: 'this.#keys.get(signature.name)!.verify(message, signature)',
    undone: 'message.length > 0',
    tests: ['test/pathinfo/trust-policy.test.ts', 'test/peers/bad-peers.test.ts'],
  },
  {
    name: 'digest check: chunks are what their digests say',
    file: 'src/castore/stores/record-blob-store.ts',
    guard: 'if (!Digest.ofContent(bytes).equals(digest)) throw',
    undone: 'if (bytes.length < 0) throw',
    tests: ['test/castore/stores/memory-stores.test.ts', 'test/peers/bad-peers.test.ts'],
  },
  {
    name: 'digest check: a blob is what its digest says',
    file: 'src/castore/stores/record-blob-store.ts',
    guard: "if (!actual.equals(digest)) throw mismatch(digest, 'a blob')",
    undone: '',
    tests: ['test/castore/stores/memory-stores.test.ts'],
  },
  {
    name: 'digest check: Directories are what was asked for',
    file: 'src/peers/swarm/directory-fetch.ts',
    guard: 'if (!this.#wanted.delete(directory.digest.hex)) {',
    undone: 'if (!this.#wanted.delete([...this.#wanted][0]!)) {',
    tests: ['test/peers/bad-peers.test.ts'],
  },
  {
    name: 'digest check: stored records are checked when they are read',
    file: 'src/castore/stores/record-content.ts',
    guard:
      "if (packing === 'raw') return isSound({ kind, key, packing, check }, stored) ? stored : undefined",
    undone: "if (packing === 'raw') return check < 0 ? undefined : stored",
    tests: ['test/castore/stores/segment-stores.test.ts'],
  },
  {
    name: 'digest check: packed records unpack to what their key names',
    file: 'src/castore/stores/record-content.ts',
    guard: 'isContentAddressed(kind) ? equalBytes(blake3(content!), key) : isChecked()',
    undone: 'isContentAddressed(kind) ? equalBytes(key, key) : isChecked()',
    tests: ['test/castore/stores/segment-upkeep.test.ts'],
  },
  {
    name: 'NAR check: fetched content renders to the signed hash',
    file: 'src/pathinfo/trust-policy.ts',
    guard: '!equalBytes(measured.narSha256, pathInfo.narSha256)',
    undone: 'measured.narSha256.length === 0',
    tests: ['test/substitution/substituter.test.ts'],
  },
  {
    name: 'size limit: a frame is no longer than frames may be',
    file: 'src/peers/exchange/frame-splitter.ts',
    guard: 'if (length > this.#frameBytesMax) {',
    undone: 'if (length < 0) {',
    tests: ['test/peers/exchange/frame-splitter.test.ts', 'test/peers/cast.test.ts'],
  },
  {
    name: 'size limit: a request names no more than it may',
    file: 'src/peers/exchange/want-codec.ts',
    guard: 'if (count === 0 || count > WANTS_MAX) {',
    undone: 'if (count < 0) {',
    tests: ['test/peers/exchange/exchange-codec.test.ts'],
  },
  {
    name: 'size limit: no more requests at once than there may be',
    file: 'src/peers/exchange/exchange-server.ts',
    guard: 'if (served.requests.size >= REQUESTS_MAX)',
    undone: 'if (served.requests.size < 0)',
    tests: ['test/peers/exchange/exchange-server.test.ts'],
  },
  {
    name: 'size limit: a NAR is no deeper than Nix takes',
    file: 'src/nar/nar-reader.ts',
    guard: 'NAR_LEVELS_MAX) throw tooDeep(',
    undone: '1e9) throw tooDeep(',
    tests: ['test/nar/nar-reader.test.ts'],
  },
  {
    name: 'name check: no slash, NUL, dot or dot-dot',
    file: 'src/castore/model/directory.ts',
    guard: "  if (name.includes(0x2f)) return 'a name holds no slash'\n",
    undone: '',
    tests: ['test/castore/model/directory.test.ts', 'test/nar/nar-reader.test.ts'],
  },
  {
    name: 'name check: dot-dot',
    file: 'src/castore/model/directory.ts',
    guard: "return 'a name is not . or ..'",
    undone: 'return undefined',
    tests: ['test/castore/model/directory.test.ts', 'test/nar/nar-reader.test.ts'],
  },
  {
    name: 'token compare: the whole token counts',
    file: 'src/foundation/access-token.ts',
    guard: 'if (timingSafeEqual(given, sha256)) holder = name',
    undone: 'if (given.length === sha256.length) holder = name',
    tests: ['test/foundation/access-token.test.ts'],
  },
  {
    name: 'write access: clients on other machines are no owners',
    file: 'src/foundation/listening.ts',
    guard: "return loopback.check(address, isIPv6(address) ? 'ipv6' : 'ipv4')",
    undone: 'return address.length > 0',
    tests: ['test/foundation/listening.test.ts'],
  },
  {
    name: 'token compare: the gateway takes no other word for a token',
    file: 'src/gateway/writer.ts',
    guard: 'if (tokens.holderOfHeader(headers.authorization) !== undefined) return true',
    undone: 'if (headers.authorization !== undefined) return true',
    tests: ['test/gateway/strangers.test.ts'],
  },
  {
    name: 'write access: a web page or a proxy on this machine is no owner',
    file: 'src/gateway/writer.ts',
    guard: 'return isDirect && isLocal(socket)',
    undone: 'return isLocal(socket)',
    tests: ['test/gateway/strangers.test.ts'],
  },
  {
    name: 'order validator: a child does not come after its parent',
    file: 'src/rpc/directory-closure-intake.ts',
    guard: 'if (this.#outside.has(digest.hex)) {',
    undone: 'if (digest.hex === undefined) {',
    tests: ['test/rpc/directory-closure-intake.test.ts'],
  },
  {
    name: 'order validator: all are below the last one',
    file: 'src/rpc/directory-closure-intake.ts',
    guard: 'if (hex === root.hex) continue',
    undone: 'if (hex !== undefined) continue',
    tests: ['test/rpc/directory-closure-intake.test.ts', 'test/rpc/refusals.test.ts'],
  },
  {
    name: 'order validator: sizes agree',
    file: 'src/castore/stores/record-directory-store.ts',
    guard: '  if (node.size === size) return\n',
    undone: '  if (node.size >= 0) return\n',
    tests: ['test/castore/stores/memory-stores.test.ts'],
  },
  {
    name: 'bomb limit: a stream does not become thousands of times as long',
    file: 'src/nar/decompression.ts',
    guard: 'bytes > intake.bytes * EXPANSION_RATIO_MAX',
    undone: 'bytes < 0',
    tests: ['test/nar/decompression.test.ts'],
  },
  {
    name: 'bomb limit: nothing becomes longer than it may',
    file: 'src/nar/decompression.ts',
    guard: 'if (bytes > outputBytesMax) throw tooLarge(outputBytesMax)',
    undone: '',
    tests: ['test/nar/decompression.test.ts'],
  },
  {
    name: 'bomb limit: no decoder gets a window over the limit',
    file: 'src/nar/zstd-frames.ts',
    guard: 'if (bytes > this.#windowBytesMax) {',
    undone: 'if (bytes < 0) {',
    tests: ['test/nar/zstd-frames.test.ts'],
  },
  {
    name: 'size limit: a stream of Directories has an end',
    file: 'src/rpc/directory-closure-intake.ts',
    guard: 'if (this.#sizes.size >= this.#directoriesMax) {',
    undone: 'if (this.#sizes.size < 0) {',
    tests: ['test/rpc/directory-closure-intake.test.ts'],
  },
  {
    name: 'size limit: no more ranges than there may be',
    file: 'src/gateway/byte-range.ts',
    guard: 'if (texts.length > RANGES_MAX) throw',
    undone: 'if (texts.length < 0) throw',
    tests: ['test/gateway/byte-range.test.ts'],
  },
  {
    name: 'size limit: one host can not take the room for all handshakes',
    file: 'src/peers/inbound-gate.ts',
    guard: 'if (pending.size >= this.#perHostMax) return true',
    undone: '',
    tests: ['test/peers/inbound-gate.test.ts'],
  },
  {
    name: 'name check: a file in a URL leads nowhere else',
    file: 'src/gateway/nar-file-name.ts',
    guard: 'const isName = /^[A-Za-z0-9_+=-][A-Za-z0-9._+=-]*$/.test(text)',
    undone: 'const isName = text.length > 0',
    tests: ['test/fuzz/fuzz.test.ts'],
  },
  {
    name: 'trust policy: a NAR from a stranger is one that somebody trusted has signed',
    file: 'src/gateway/nar-info-intake.ts',
    guard: "const vouched = writer === 'stranger' ?",
    undone: "const vouched = writer === ('nobody' as string) ?",
    tests: ['test/gateway/strangers.test.ts'],
  },
  {
    name: 'proof: parents of an outboard hash to what is above them',
    file: 'src/castore/verified/expected-subtree.ts',
    guard: 'if (!equalBytes(isRoot ? hasher.root(pair) : hasher.parents(pair), value)) {',
    undone: 'if (pair.length === 0) {',
    tests: ['test/castore/verified/outboard.test.ts'],
  },
  {
    name: 'proof: a group hashes to what the outboard says',
    file: 'src/castore/verified/group-check.ts',
    guard: 'if (equalBytes(values.subarray(from, from + CHAINING_VALUE_BYTES), value)) continue',
    undone: 'if (values.length > 0) continue',
    tests: ['test/castore/verified/range-prover.test.ts'],
  },
  {
    name: 'name check: a symlink leads nowhere out of its store path',
    file: 'src/substitution/find-node.ts',
    guard: 'if (isAbsolute && !isHome) throw leadsOutside(place, target)',
    undone: '',
    tests: ['test/substitution/path-contents.test.ts'],
  },
  {
    name: 'size limit: symlinks that lead to each other end',
    file: 'src/substitution/find-node.ts',
    guard:
      "if (++links > LINKS_MAX) throw placeError('link-loop', place, 'symlinks that never end')",
    undone: "if (++links > 10_000) throw new Error('it would go on')",
    tests: ['test/substitution/path-contents.test.ts'],
  },
  {
    name: 'proof: chunks that come are proven by the outboard that came with their list',
    file: 'src/peers/swarm/blob-assembly.ts',
    guard: 'push: (piece) => void prover.take(piece),',
    undone: 'push: () => undefined,',
    tests: ['test/peers/swarm/proven-fetch.test.ts'],
  },
  {
    name: 'proof: an outboard has one right length',
    file: 'src/castore/verified/outboard.ts',
    guard: 'if (bytes.length !== expected) {',
    undone: 'if (bytes.length < 0) {',
    tests: ['test/castore/verified/outboard.test.ts'],
  },
  {
    name: 'share policy: peers get no blob or chunk that no shared path reaches',
    file: 'src/pathinfo/shared-castore.ts',
    guard: 'const mayRead = digests.map((digest) => this.#access.reachesBlob(digest))',
    undone: 'const mayRead = digests.map(() => true)',
    tests: ['test/peers/exchange/private-content.test.ts', 'test/peers/private-paths.test.ts'],
  },
  {
    name: 'share policy: peers get no Directory that no shared path reaches',
    file: 'src/pathinfo/shared-castore.ts',
    guard: 'if (this.#access.reachesDirectory(root)) yield*',
    undone: 'yield*',
    tests: ['test/peers/exchange/private-content.test.ts', 'test/peers/private-paths.test.ts'],
  },
  {
    name: 'share policy: peers are told of no path that is not shared',
    file: 'src/pathinfo/shared-content.ts',
    guard: '    if (!this.shares(pathInfo)) return false\n',
    undone: '    if (!this.shares(pathInfo)) return true\n',
    tests: ['test/peers/exchange/private-content.test.ts', 'test/peers/private-paths.test.ts'],
  },
  {
    name: 'share policy: what is taken back counts no more at once',
    file: 'src/pathinfo/shared-content.ts',
    guard: 'const floor = forgets ? generation : last.floor',
    undone: 'const floor = last.floor',
    tests: ['test/pathinfo/shared-content.test.ts', 'test/pathinfo/sharing-oracle.test.ts'],
  },
  {
    name: 'share policy: strangers at the gateway get no path that is not shared',
    file: 'src/gateway/reading.ts',
    guard: 'return isOwner(request, tokens) ? OWNER_ACCESS : others',
    undone: 'return isOwner(request, tokens) || true ? OWNER_ACCESS : others',
    tests: ['test/gateway/private-paths.test.ts'],
  },
  {
    name: 'share policy: strangers at the gRPC port get no content that is not shared',
    file: 'src/rpc/readers.ts',
    guard: 'return isOwner ? this.#castore : this.#shared',
    undone: 'return isOwner || true ? this.#castore : this.#shared',
    tests: ['test/rpc/refusals.test.ts'],
  },
  {
    name: 'durability: nothing is acknowledged before it is synced',
    file: 'src/castore/stores/segment-record-store.ts',
    guard: 'const position = await this.#log.sync()',
    undone: 'const position = this.#log.position',
    tests: [
      'test/simulations/crashing-store.test.ts',
      'test/castore/stores/segment-crashes.test.ts',
    ],
  },
  {
    name: 'durability: the index learns of nothing before the log has it on stable storage',
    file: 'src/castore/stores/segment-record-store.ts',
    guard: `    const position = await this.#log.sync()
    const { entries, mark } = this.#pending.upTo(position)
    await this.#index.advance(entries, mark, isLasting)`,
    undone: `    const position = this.#log.position
    const { entries, mark } = this.#pending.upTo(position)
    await this.#index.advance(entries, mark, isLasting)
    await this.#log.sync()`,
    tests: ['test/simulations/crashing-store.test.ts'],
  },
  {
    name: 'durability: what a sync that failed may have cost is written again',
    file: 'src/castore/stores/segment-log.ts',
    guard: '      this.#isDoubtful = true\n',
    undone: '',
    tests: [
      'test/simulations/crashing-store.test.ts',
      'test/castore/stores/segment-crashes.test.ts',
    ],
  },
  {
    name: 'durability: a file that fills up while it is synced is synced once more',
    file: 'src/castore/stores/segment-log.ts',
    guard: 'if (file !== current) {',
    undone: 'if (file !== this.#current) {',
    tests: ['test/castore/stores/segment-crashes.test.ts'],
  },
  {
    name: 'durability: what a write that failed has left is cut off',
    file: 'src/castore/stores/segment-log.ts',
    guard: '      this.#isRagged = true\n',
    undone: '',
    tests: ['test/castore/stores/segment-crashes.test.ts'],
  },
  {
    name: 'durability: what a recovery takes in is on stable storage before it counts',
    file: 'src/castore/stores/segment-recovery.ts',
    guard: '      await writeAgain(files, { from: this.#stable, to: end })\n',
    undone: '',
    tests: ['test/castore/stores/segment-crashes.test.ts'],
  },
  {
    name: 'durability: an index that has lost a write is made anew',
    file: 'src/castore/stores/level-record-index.ts',
    guard: 'if (await index.#isWhole()) return index',
    undone: 'if (index.#steps >= 0) return index',
    tests: ['test/castore/stores/segment-crashes.test.ts'],
  },
  {
    name: 'durability: two syncs never run at once',
    file: 'src/castore/stores/group-sync.ts',
    guard: '    if (this.#next !== undefined) return this.#next\n',
    undone: '',
    tests: ['test/castore/stores/group-sync.test.ts', 'test/simulations/crashing-store.test.ts'],
  },
]
