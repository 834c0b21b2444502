"""A real consumer: takes entries from a LockingQueue until none comes for a while, and prints their data.

consume.py HOSTS PATH SECONDS
consume.py HOSTS PATH put PRIORITY ID...
consume.py HOSTS PATH release     takes one and gives it back
"""
import sys

from kazoo.client import KazooClient

hosts, path = sys.argv[1], sys.argv[2]
client = KazooClient(hosts=hosts)
client.start(timeout=30)
queue = client.LockingQueue(path)
if sys.argv[3] == "put":
    for value in sys.argv[5:]:
        queue.put(value.encode(), int(sys.argv[4]))
elif sys.argv[3] == "release":
    value = queue.get(timeout=30)
    if not queue.release():
        sys.exit("lost the lock of " + value.decode())
    print(value.decode())
else:
    while True:
        value = queue.get(timeout=float(sys.argv[3]))
        if value is None:
            break
        if not queue.consume():
            sys.exit("lost the lock of " + value.decode())
        print(value.decode(), flush=True)
client.stop()
