"""redis-py behind uhashring, as hash_ring itself is for Python 2: `python uhashring_redis.py work millis url..` prints `ops wall_ns cpu_ns`."""

import sys
import time

import redis
from uhashring import HashRing

work, millis, *urls = sys.argv[1:]
nodes = {url: redis.Redis.from_url(url) for url in urls}
ring = HashRing(list(nodes))
keys = ["user:%08d:name" % i for i in range(10_000)]
value = b"x" * 64


def of(key):
    return nodes[ring.get_node(key)]


def mget(batch):
    """By hand: the ring knows nothing of batches."""
    parts = {}
    for place, key in enumerate(batch):
        parts.setdefault(ring.get_node(key), []).append((place, key))
    found = [None] * len(batch)
    for node, part in parts.items():
        for (place, _), one in zip(part, nodes[node].mget([key for _, key in part])):
            found[place] = one
    return found


for key in keys:
    of(key).set(key, value)
start, used, ops = time.monotonic_ns(), time.process_time_ns(), 0
finish = start + int(millis) * 1_000_000
while time.monotonic_ns() < finish:
    at = ops * 6101 % 9900
    if work == "get":
        well = of(keys[at]).get(keys[at]) == value
    elif work == "set":
        well = of(keys[at]).set(keys[at], value)
    else:
        well = all(mget(keys[at : at + 100]))
    if not well:
        raise SystemExit("not found")
    ops += 1
print(ops, time.monotonic_ns() - start, time.process_time_ns() - used)
