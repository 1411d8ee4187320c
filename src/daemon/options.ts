/** One option of the daemon: its name in cairn.toml, its flag, and its words for the help. */
export interface Option {
  readonly flag: string
  readonly env: string
  readonly help: string
  /** Given more than once, it makes up a list, which replaces the one of the config file. */
  readonly repeatable?: true
}

/**
 * The flags and environment variables of all options, by their names in cairn.toml; those in a
 * table have its name before a dot.
 */
export const OPTIONS = {
  state: {
    flag: '--state <DIR>',
    env: 'CAIRN_STATE',
    help: 'directory for the store and the identity (default: $XDG_STATE_HOME/cairn)',
  },
  gateway: {
    flag: '--gateway <ADDRESS>',
    env: 'CAIRN_GATEWAY',
    help: 'where Nix finds it: HOST:PORT, unix:/PATH or systemd:NAME (default: 127.0.0.1:9000)',
  },
  rpc: {
    flag: '--rpc <ADDRESS>',
    env: 'CAIRN_RPC',
    help: 'where gRPC clients and other commands find it (default: localhost:8000)',
  },
  listen: {
    flag: '--listen <MULTIADDR...>',
    env: 'CAIRN_LISTEN',
    help: 'where peers find this node (default: /ip4/0.0.0.0/tcp/9001)',
    repeatable: true,
  },
  bootstrap: {
    flag: '--bootstrap <MULTIADDR...>',
    env: 'CAIRN_BOOTSTRAP',
    help: 'peers to stay connected with (default: none)',
    repeatable: true,
  },
  mdns: {
    flag: '--no-mdns',
    env: 'CAIRN_MDNS',
    help: 'do not look for neighbours on the local network',
  },
  announce: {
    flag: '--announce <WHICH>',
    env: 'CAIRN_ANNOUNCE',
    help: 'what of shared paths the DHT is told: all, only their roots, or none (default: all)',
  },
  announce_rate: {
    flag: '--announce-rate <SIZE>',
    env: 'CAIRN_ANNOUNCE_RATE',
    help: 'what announcing may send in a second, such as 50kB (default: 20kB)',
  },
  upstream: {
    flag: '--upstream <URL...>',
    env: 'CAIRN_UPSTREAM',
    help: 'caches for what no neighbour has, such as https://cache.nixos.org (default: none)',
    repeatable: true,
  },
  ahead: {
    flag: '--ahead <SIZE>',
    env: 'CAIRN_AHEAD',
    help: 'how much of a closure is fetched before Nix asks for it; 0 for nothing (default: 64MiB)',
  },
  trusted_keys: {
    flag: '--trusted-key <NAME:BASE64...>',
    env: 'CAIRN_TRUSTED_KEYS',
    help: "whose signatures count (default: cache.nixos.org's)",
    repeatable: true,
  },
  signing_key: {
    flag: '--signing-key <FILE>',
    env: 'CAIRN_SIGNING_KEY',
    help: 'secret key to sign what is put in here; made by `cairn key generate` (default: none)',
  },
  tokens: {
    flag: '--token <NAME:sha256:HEX...>',
    env: 'CAIRN_TOKENS',
    help: 'hashes of tokens that let other machines write; made by `cairn token` (default: none)',
    repeatable: true,
  },
  'share.mode': {
    flag: '--share <MODE>',
    env: 'CAIRN_SHARE',
    help: 'which paths leave this machine: signed, all or none (default: signed by a trusted key)',
  },
  'share.allow': {
    flag: '--share-allow <PATTERN...>',
    env: 'CAIRN_SHARE_ALLOW',
    help: 'names of paths that are shared whatever the mode, such as hello-* (default: none)',
    repeatable: true,
  },
  'share.deny': {
    flag: '--share-deny <PATTERN...>',
    env: 'CAIRN_SHARE_DENY',
    help: 'names of paths that are not shared, such as *-secret*; counts most (default: none)',
    repeatable: true,
  },
  'store.max_bytes': {
    flag: '--max-bytes <SIZE>',
    env: 'CAIRN_MAX_BYTES',
    help: 'what the store may take up, such as 50GB (default: whatever the disk has)',
  },
  'store.max_age': {
    flag: '--max-age <TIME>',
    env: 'CAIRN_MAX_AGE',
    help: 'how long paths stay that nobody asks for, such as 90d (default: for ever)',
  },
  'store.compression_level': {
    flag: '--compression-level <LEVEL>',
    env: 'CAIRN_COMPRESSION_LEVEL',
    help: 'how hard zstd tries on what is stored, 1 to 19; 0 stores it as it is (default: 1)',
  },
  'peers.upload_rate': {
    flag: '--upload-rate <RATE>',
    env: 'CAIRN_UPLOAD_RATE',
    help: 'content sent to all peers, in bytes a second, such as 2MB (default: no limit)',
  },
  'peers.download_rate': {
    flag: '--download-rate <RATE>',
    env: 'CAIRN_DOWNLOAD_RATE',
    help: 'content fetched from all peers, in bytes a second, such as 10MB (default: no limit)',
  },
  'adopt.follow': {
    flag: '--adopt-follow',
    env: 'CAIRN_ADOPT_FOLLOW',
    help: "take in what is in this machine's /nix/store, and what Nix adds to it (default: no)",
  },
  'adopt.paths': {
    flag: '--adopt-paths <WHICH>',
    env: 'CAIRN_ADOPT_PATHS',
    help: 'what of it: all, or what is signed by a trusted key (default: signed)',
  },
  'adopt.root': {
    flag: '--adopt-root <DIR>',
    env: 'CAIRN_ADOPT_ROOT',
    help: 'where /nix is, if it is not at the root of the file system (default: /)',
  },
  'push.to': {
    flag: '--push-to <URL>',
    env: 'CAIRN_PUSH_TO',
    help: 'a cache that gets what this node signs, in the background (default: none)',
  },
  'push.compression': {
    flag: '--push-compression <NAME>',
    env: 'CAIRN_PUSH_COMPRESSION',
    help: 'how NARs are compressed there: none, zstd, xz, gzip or br (default: zstd)',
  },
  log: {
    flag: '--log <LEVELS>',
    env: 'CAIRN_LOG',
    help: 'levels of the log, such as info,peers=trace (default: info)',
  },
} as const satisfies Record<string, Option>
