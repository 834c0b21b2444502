#!/bin/bash
set -euo pipefail
# shellcheck disable=SC2086 # flags are words
exec "$JAVA_HOME/bin/java" ${JVMFLAGS:-} ${CLIENT_JVMFLAGS:-} -cp "$ZOO_CONF_DIR:/zookeeper/lib/*" \
  org.apache.zookeeper.ZooKeeperMain "$@"
