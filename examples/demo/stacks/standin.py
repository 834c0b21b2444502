"""Stand-ins for Nuvla's core services: standin.py api | ui | executor | distributor.

They talk to es:9200 and zk:2181 as the real ones do. The executor is a real consumer of the queue: kazoo's LockingQueue,
the same layout, the same answer to each state of a job. It leaves a mark in ZooKeeper for each job that it runs, so that
a job that is run twice is seen.
"""

import json
import os
import random
import signal
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from kazoo.client import KazooClient
from kazoo.exceptions import NodeExistsError, NoNodeError
from kazoo.handlers.threading import KazooTimeoutError

ES = "http://es:9200"
ZK = "zk:2181"
JOBS = "nuvla-job"
WORK_SECONDS = (1.0, 3.0)
stopping = threading.Event()


def say(text):
    print(f"{datetime.now(timezone.utc):%H:%M:%S} {socket.gethostname()} {text}", flush=True)


def now():
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def es(method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(ES + path, data=data, method=method, headers={"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=5) as answer:
        return json.load(answer)


def connect():
    """Waits for ZooKeeper: a name that does not resolve yet, and a refused connection, both mean not yet."""
    while not stopping.is_set():
        client = KazooClient(hosts=ZK, timeout=10.0)
        try:
            client.start(timeout=5)
            return client
        except KazooTimeoutError:
            client.stop()
            client.close()
            stopping.wait(0.5)
    sys.exit(0)


def executor():
    client = connect()
    queue = client.LockingQueue("/job")
    say("waiting for jobs")
    while not stopping.is_set():
        entry = queue.get(timeout=1)
        if entry is None:
            continue
        job = entry.decode()
        try:
            run(client, job)
        except (urllib.error.URLError, OSError, TimeoutError) as error:
            say(f"{job}: {error}; released")
            queue.release()
            stopping.wait(1)
            continue
        queue.consume()
    client.stop()


def run(client, job):
    uuid = job.split("/", 1)[1]
    try:
        doc = es("GET", f"/{JOBS}/_doc/{uuid}")["_source"]
    except urllib.error.HTTPError as error:
        if error.code != 404:
            raise
        say(f"{job}: no such job, consumed")
        return
    if doc.get("state") not in ("QUEUED", "RUNNING"):
        say(f"{job}: {doc.get('state')}, not run")
        return
    mark(client, uuid)
    es("POST", f"/{JOBS}/_update/{uuid}", {"doc": {"state": "RUNNING", "started": now(), "updated": now()}})
    stopping.wait(random.uniform(*WORK_SECONDS))
    es("POST", f"/{JOBS}/_update/{uuid}",
       {"doc": {"state": "SUCCESS", "progress": 100, "return-code": 0, "updated": now(), "time-of-status-change": now()}})
    say(f"{job}: {doc.get('action')} done")


def mark(client, uuid):
    try:
        client.create(f"/demo/executed/{uuid}", makepath=True)
    except NodeExistsError:
        client.create(f"/demo/twice/{uuid}-", makepath=True, sequence=True)


def distributor():
    client = connect()
    election = client.Election("/election/demo", socket.gethostname())
    say("stands for election")

    def lead():
        say("elected")
        while not stopping.wait(1):
            if client.state != "CONNECTED":
                return

    while not stopping.is_set():
        election.run(lead)
    client.stop()


class Page(BaseHTTPRequestHandler):
    client = None

    def do_GET(self):
        try:
            status, body = self.answer()
        except Exception as error:  # whatever is wrong with a database: not healthy, and why
            status, body = 503, {"message": f"{type(error).__name__}: {error}"}
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def answer(self):
        if self.path == "/api/cloud-entry-point":
            health = es("GET", "/_cluster/health?local=true")
            self.client.get_children("/")
            return 200, {"resource-type": "cloud-entry-point", "elasticsearch": health["status"]}
        if self.path == "/demo":
            return 200, {"executed": self.children("/demo/executed"), "twice": self.children("/demo/twice"),
                         "queued": self.children("/job/entries")}
        return (200, {}) if self.client is None else (404, {"message": "not found"})

    def children(self, path):
        try:
            return len(self.client.get_children(path))
        except NoNodeError:
            return 0

    def log_message(self, *args):
        pass


def serve(port, client):
    Page.client = client
    server = ThreadingHTTPServer(("0.0.0.0", port), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    say(f"serves on {port}")
    stopping.wait()
    server.shutdown()


def main():
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    role = sys.argv[1]
    if role == "api":
        serve(8200, connect())
    elif role == "ui":
        serve(8000, None)
    else:
        {"executor": executor, "distributor": distributor}[role]()
    os._exit(0)


main()
