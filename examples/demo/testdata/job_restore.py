"""The way in which the job queue is rebuilt today: open jobs are read from Elasticsearch, sorted by their creation, and put on
the queue by kazoo, one create after the other. Nothing is compared, nothing verified. The benchmark runs it for by-hand.sh.

Arguments: --es-hosts (default es), --zk-hosts (default zk:2181).
"""

import argparse
import json
import urllib.request

from kazoo.client import KazooClient

QUERY = {
    "size": 10000,
    "query": {"bool": {"filter": [{"terms": {"state": ["QUEUED", "RUNNING"]}}], "must_not": [{"term": {"execution-mode": "pull"}}]}},
    "sort": [{"created": "asc"}],
}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--es-hosts", default="es")
    parser.add_argument("--zk-hosts", default="zk:2181")
    args = parser.parse_args()
    request = urllib.request.Request(f"http://{args.es_hosts}:9200/nuvla-job/_search", data=json.dumps(QUERY).encode(),
                                     headers={"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        jobs = [hit["_source"] for hit in json.load(answer)["hits"]["hits"]]
    client = KazooClient(hosts=args.zk_hosts)
    client.start()
    queue = client.LockingQueue("/job")
    for job in jobs:
        queue.put(job["id"].encode(), priority=job.get("priority", 100))
    client.stop()


main()
