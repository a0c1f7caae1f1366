#!/usr/bin/env python3
"""Records what a real etcd answers to HashKV along a random sequence of operations.

    record_hash_kv.py ETCD_BINARY SEED > hash_kv_<version>_<seed>.txt

Lines of the output, one operation each; keys and values are hex, `-` is empty:
    entry N                      the next N lines are one transaction (one main revision)
    put KEY VALUE LEASE
    delete KEY END
    compact REVISION
    hash REVISION HASH COMPACT_REVISION      what etcd said
etcd answers HashKV at a compacted revision from a cache that remembers the state before the compaction; the server is
restarted before such a question, which empties the cache.
"""
import base64
import json
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Etcd:
    def __init__(self, binary):
        self.binary = binary
        self.dir = tempfile.mkdtemp()
        self.start()

    def start(self):
        client, peer = free_port(), free_port()
        self.url = f"http://127.0.0.1:{client}"
        peer_url = f"http://127.0.0.1:{peer}"
        self.process = subprocess.Popen(
            [self.binary, "--data-dir", self.dir + "/data", "--listen-client-urls", self.url,
             "--advertise-client-urls", self.url, "--listen-peer-urls", peer_url,
             "--initial-advertise-peer-urls", peer_url, "--initial-cluster", f"default={peer_url}"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(200):
            try:
                self.call("/v3/maintenance/status", {})
                return
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.1)
        raise RuntimeError("etcd does not start")

    def stop(self):
        self.process.terminate()
        self.process.wait()

    def close(self):
        self.stop()
        shutil.rmtree(self.dir)

    def call(self, path, body):
        request = urllib.request.Request(self.url + path, json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)


def b64(data):
    return base64.b64encode(data).decode()


def text(data):
    return data.hex() or "-"


class Recorder:
    def __init__(self, binary, seed):
        self.random = random.Random(seed)
        self.etcd = Etcd(binary)
        self.revision = 1
        self.compacted = -1
        self.live = set()
        for lease in (7, 1 << 40):
            self.etcd.call("/v3/lease/grant", {"TTL": "100000", "ID": str(lease)})

    def key(self):
        return f"key{self.random.randrange(25)}".encode()

    def value(self):
        return self.random.randbytes(self.random.choice([0, 1, 10, 130]))

    def entry(self):
        puts = {}
        for _ in range(self.random.choice([1, 1, 1, 2, 5])):
            puts[self.key()] = (self.value(), self.random.choice([0, 0, 7, 1 << 40]))
        operations, lines = [], []
        if self.random.random() < 0.4:
            key, end = self.key(), b""
            if self.random.random() < 0.3:
                end = key + b"\xff"
            puts = {k: v for k, v in puts.items() if not (k == key or (end and key <= k < end))}
            operations.append({"request_delete_range": {"key": b64(key), "range_end": b64(end)}})
            lines.append(f"delete {text(key)} {text(end)}")
        for key, (value, lease) in puts.items():
            operations.append({"request_put": {"key": b64(key), "value": b64(value), "lease": str(lease)}})
            lines.append(f"put {text(key)} {text(value)} {lease}")
        self.commit(operations, lines)

    def commit(self, operations, lines):
        answer = self.etcd.call("/v3/kv/txn", {"success": operations})
        self.revision = int(answer["header"]["revision"])
        print(f"entry {len(lines)}")
        print("\n".join(lines))

    def delete_all(self):
        everything = b64(b"\0")
        self.commit([{"request_delete_range": {"key": everything, "range_end": everything}}], ["delete 00 00"])

    def compact(self, revision):
        if not self.compacted < revision <= self.revision:
            return
        self.etcd.call("/v3/kv/compaction", {"revision": str(revision), "physical": True})
        self.compacted = revision
        print(f"compact {revision}")

    def hash(self, revision):
        if revision == self.compacted:
            self.etcd.stop()
            self.etcd.start()
        answer = self.etcd.call("/v3/maintenance/hashkv", {"revision": str(revision)})
        print(f"hash {revision} {answer.get('hash', 0)} {answer.get('compact_revision', 0)}")

    def some_hashes(self, count):
        for _ in range(count):
            low = max(self.compacted + 1, 1)
            if low <= self.revision:
                self.hash(self.random.randint(low, self.revision))

    def run(self):
        for round_ in range(12):
            for _ in range(self.random.randrange(1, 25)):
                self.entry()
            self.some_hashes(3)
            if round_ % 3 == 1:
                self.delete_all()
                self.some_hashes(1)
                self.hash(self.revision)
            low = max(self.compacted + 1, 1)
            self.compact(self.revision if self.random.random() < 0.5 else self.random.randint(low, self.revision))
            self.some_hashes(3)
            self.hash(self.compacted)
            if round_ % 4 == 2:
                self.delete_all()
                self.hash(self.revision)
        self.etcd.close()


Recorder(sys.argv[1], int(sys.argv[2])).run()
