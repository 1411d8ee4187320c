import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire'

// Types of messages, by https://github.com/libp2p/specs/blob/master/kad-dht/README.md#rpc-messages
const ADD_PROVIDER = 2
const GET_PROVIDERS = 3
const PING = 5

// Fields of a message.
const TYPE = 1
const KEY = 2
const PROVIDERS = 9

// Fields of a peer within it.
const PEER_ID = 1
const PEER_ADDRESS = 2

/** A peer as messages name it: the multihash of its id, and its addresses as multiaddrs. */
export interface WirePeer {
  readonly id: Uint8Array
  readonly addresses: readonly Uint8Array[]
}

/** Says that a peer has what a key (a multihash) stands for; there is no answer. */
export function encodeAddProvider(multihash: Uint8Array, provider: WirePeer): Uint8Array {
  const writer = begun(ADD_PROVIDER, multihash)
  writer.uint32(tag(PROVIDERS, WireType.LengthDelimited)).fork()
  writer.uint32(tag(PEER_ID, WireType.LengthDelimited)).bytes(provider.id)
  for (const address of provider.addresses) {
    writer.uint32(tag(PEER_ADDRESS, WireType.LengthDelimited)).bytes(address)
  }
  return delimited(writer.join())
}

/** Asks who has what a key (a multihash) stands for. */
export function encodeGetProviders(multihash: Uint8Array): Uint8Array {
  return delimited(begun(GET_PROVIDERS, multihash))
}

/** Asks whether somebody is there; whoever answers has handled all that came before. */
export function encodePing(): Uint8Array {
  return delimited(new BinaryWriter().uint32(tag(TYPE, WireType.Varint)).int32(PING))
}

/** The message that begins `bytes`, without its length; undefined where part of it is to come. */
export function undelimited(bytes: Uint8Array): Uint8Array | undefined {
  const end = bytes.findIndex((byte) => byte < 0x80)
  if (end === -1) return undefined
  const length = new BinaryReader(bytes).uint32()
  const from = end + 1
  return bytes.length < from + length ? undefined : bytes.subarray(from, from + length)
}

/** The providers that an answer names, `max` of them at the most. @throws Error */
export function decodeProviders(message: Uint8Array, max: number): WirePeer[] {
  const reader = new BinaryReader(message)
  const providers: WirePeer[] = []
  while (reader.pos < reader.len && providers.length < max) {
    const [field, wire] = reader.tag()
    if (field === PROVIDERS && wire === WireType.LengthDelimited) {
      providers.push(decodePeer(reader.bytes()))
    } else {
      reader.skip(wire, field)
    }
  }
  return providers
}

function decodePeer(bytes: Uint8Array): WirePeer {
  const reader = new BinaryReader(bytes)
  let id = new Uint8Array(0)
  const addresses: Uint8Array[] = []
  while (reader.pos < reader.len) {
    const [field, wire] = reader.tag()
    if (field === PEER_ID && wire === WireType.LengthDelimited) id = Uint8Array.from(reader.bytes())
    else if (field === PEER_ADDRESS && wire === WireType.LengthDelimited) {
      addresses.push(reader.bytes())
    } else reader.skip(wire, field)
  }
  return { id, addresses }
}

function begun(type: number, multihash: Uint8Array): BinaryWriter {
  const writer = new BinaryWriter()
  writer.uint32(tag(TYPE, WireType.Varint)).int32(type)
  return writer.uint32(tag(KEY, WireType.LengthDelimited)).bytes(multihash)
}

function tag(field: number, wire: WireType): number {
  return (field << 3) | wire
}

function delimited(writer: BinaryWriter): Uint8Array {
  return new BinaryWriter().bytes(writer.finish()).finish()
}
