#!/usr/bin/env bash
# The operations page, typed by a perfect operator: no thinking, no verification, no pause between two steps. It is what
# the benchmark runs beside disaster-recovery. Each step ends with its name and its time on a line.
#
# Environment: ES (host:port), DB and CORE (stacks), DB_COMPOSE and CORE_COMPOSE (files), REPOSITORY, REPOSITORY_FILE,
# NETWORK, JOB_IMAGE, JOB_SCRIPT (the text of job_restore.py), LABEL (on the side container), API (host:port), REPLICAS.
set -euo pipefail

begun=$(date +%s%N)
step() {
  local now
  now=$(date +%s%N)
  printf '%s %d.%03d\n' "$1" $(((now - begun) / 1000000000)) $(((now - begun) / 1000000 % 1000))
  begun=$now
}
until_true() { until "$@"; do sleep 0.1; done; }
ask() { curl --silent --show-error --fail "$@"; }

# 1. Stop the core service and the database services, until no container of them is left.
nothing_left() {
  [ -z "$(docker ps --all --quiet --filter "label=com.docker.stack.namespace=$CORE")" ] &&
    [ -z "$(docker ps --all --quiet --filter "label=com.docker.stack.namespace=$DB")" ]
}
docker stack rm "$CORE" >/dev/null
docker stack rm "$DB" >/dev/null
until_true nothing_left
step stop

# 2. Remove the volumes of the databases.
docker volume ls --quiet --filter "label=com.docker.stack.namespace=$DB" | xargs --no-run-if-empty docker volume rm >/dev/null
step wipe

# 3. Deploy the databases, until Elasticsearch serves.
docker stack deploy --resolve-image never --detach=true --compose-file "$DB_COMPOSE" "$DB" >/dev/null
serves() { ask "http://$ES/_cluster/health" >/dev/null 2>&1; }
until_true serves
step deploy-db

# 4. and 5. Configure S3 again, list the snapshots, choose the last one.
ask -X PUT "http://$ES/_snapshot/$REPOSITORY" -H 'Content-Type: application/json' --data-binary "@$REPOSITORY_FILE" >/dev/null
snapshot=$(ask "http://$ES/_cat/snapshots/$REPOSITORY?h=id&s=end_epoch" | tail -n 1 | tr -d ' ')
step repository

# 6. Restore it, until all primaries are started.
ask -X POST "http://$ES/_snapshot/$REPOSITORY/$snapshot/_restore" -H 'Content-Type: application/json' --data '{"indices":"nuvla-*"}' >/dev/null
started() { # health is green while the indices are not there yet
  primaries=$(ask "http://$ES/_cat/shards/nuvla-*?h=prirep,state" | grep '^p')
  [ -n "$primaries" ] && ! grep -qv STARTED <<<"$primaries"
}
until_true started
step restore

# 7. Rebuild the queue from a side container on the stacks' network.
docker run --rm --label "$LABEL" --network "$NETWORK" "$JOB_IMAGE" python3 -c "$JOB_SCRIPT" --es-hosts es --zk-hosts zk:2181 >/dev/null
step queue

# 8. Restart the core services, until all replicas run.
docker stack deploy --resolve-image never --detach=true --compose-file "$CORE_COMPOSE" "$CORE" >/dev/null
running() { [ "$(docker ps --quiet --filter "label=com.docker.stack.namespace=$CORE" | wc -l)" -ge "$REPLICAS" ]; }
until_true running
step start-core
