"""One BitTorrent peer for the lab, by libtorrent; Debian's python3-libtorrent brings it.

    bittorrent.py make FILE TORRENT           writes a torrent of 256 KiB pieces
    bittorrent.py run TORRENT DIRECTORY ADDRESS

Says "ready" once it has what the directory holds; reads one line of addresses of other peers,
connects with them, and says "done" once it has everything. Stays until its input ends.
"""
import sys
import time

import libtorrent as lt

PIECE_BYTES = 256 * 1024
PORT = 6881
POLL_SECONDS = 0.02

# No trackers, no discovery and no limits: only who is named is talked to, and all are unchoked.
SETTINGS = {
    "enable_dht": False,
    "enable_lsd": False,
    "enable_upnp": False,
    "enable_natpmp": False,
    "enable_incoming_utp": False,
    "enable_outgoing_utp": False,
    "allow_multiple_connections_per_ip": True,
    "choking_algorithm": 0,
    "unchoke_slots_limit": 100,
    "active_downloads": 100,
    "active_seeds": 100,
    "active_limit": 100,
    "connection_speed": 100,
    "upload_rate_limit": 0,
    "download_rate_limit": 0,
    "alert_mask": 0,
}


def make(file, torrent):
    storage = lt.file_storage()
    lt.add_files(storage, file)
    made = lt.create_torrent(storage, PIECE_BYTES, lt.create_torrent.v1_only)
    lt.set_piece_hashes(made, file.rsplit("/", 1)[0])
    with open(torrent, "wb") as out:
        out.write(lt.bencode(made.generate()))


def run(torrent, directory, address):
    settings = {**SETTINGS, "listen_interfaces": f"{address}:{PORT}"}
    session = lt.session(settings)
    params = lt.add_torrent_params()
    params.ti = lt.torrent_info(torrent)
    params.save_path = directory
    params.flags &= ~lt.torrent_flags.auto_managed
    params.flags &= ~lt.torrent_flags.paused
    handle = session.add_torrent(params)
    unready = (lt.torrent_status.checking_files, lt.torrent_status.checking_resume_data)
    while handle.status().state in unready:
        time.sleep(POLL_SECONDS)
    print("ready", flush=True)
    for peer in sys.stdin.readline().split():
        handle.connect_peer((peer, PORT))
    while not handle.status().is_seeding:
        time.sleep(POLL_SECONDS)
    print("done", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    {"make": make, "run": run}[sys.argv[1]](*sys.argv[2:])
