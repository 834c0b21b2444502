#!/bin/bash
# start-foreground only: what a container needs.
set -euo pipefail
if [[ ${1:-} != start-foreground ]]; then
  echo "usage: zkServer.sh start-foreground" >&2
  exit 2
fi
# shellcheck disable=SC2086 # flags are words
exec "$JAVA_HOME/bin/java" -XX:+UseSerialGC -XX:TieredStopAtLevel=1 ${JVMFLAGS:-} ${SERVER_JVMFLAGS:-} \
  -Dzookeeper.log.dir="$ZOO_LOG_DIR" -cp "$ZOO_CONF_DIR:/zookeeper/lib/*" \
  org.apache.zookeeper.server.quorum.QuorumPeerMain "$ZOO_CONF_DIR/zoo.cfg"
