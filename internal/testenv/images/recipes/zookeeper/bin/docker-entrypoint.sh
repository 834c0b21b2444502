#!/bin/bash
# Stands in for the entrypoint of the official image: zoo.cfg from the variables ZOO_*, myid, and no root.
set -euo pipefail

if [[ ${1:-} == zkServer.sh && $(id -u) == 0 ]]; then
  chown -R zookeeper "$ZOO_DATA_DIR" "$ZOO_DATA_LOG_DIR" "$ZOO_LOG_DIR" "$ZOO_CONF_DIR"
  exec setpriv --reuid=1000 --regid=1000 --clear-groups "$0" "$@"
fi

config=$ZOO_CONF_DIR/zoo.cfg
if [[ ! -f $config ]]; then
  {
    echo "dataDir=$ZOO_DATA_DIR"
    echo "dataLogDir=$ZOO_DATA_LOG_DIR"
    echo "tickTime=$ZOO_TICK_TIME"
    echo "initLimit=$ZOO_INIT_LIMIT"
    echo "syncLimit=$ZOO_SYNC_LIMIT"
    echo "autopurge.snapRetainCount=$ZOO_AUTOPURGE_SNAPRETAINCOUNT"
    echo "autopurge.purgeInterval=$ZOO_AUTOPURGE_PURGEINTERVAL"
    echo "maxClientCnxns=$ZOO_MAX_CLIENT_CNXNS"
    echo "4lw.commands.whitelist=$ZOO_4LW_COMMANDS_WHITELIST"
    if [[ $ZOO_VERSION != 3.4.* ]]; then # where the client port is part of a server's line
      echo "standaloneEnabled=$ZOO_STANDALONE_ENABLED"
      echo "admin.enableServer=$ZOO_ADMINSERVER_ENABLED"
      : "${ZOO_SERVERS:=server.1=localhost:2888:3888;2181}"
    else
      echo "clientPort=${ZOO_PORT:-2181}"
    fi
    for line in ${ZOO_SERVERS:-} ${ZOO_CFG_EXTRA:-}; do
      echo "$line"
    done
  } >"$config.part"
  mv "$config.part" "$config"
fi

if [[ ! -f $ZOO_DATA_DIR/myid ]]; then
  echo "${ZOO_MY_ID:-1}" >"$ZOO_DATA_DIR/myid"
fi

exec "$@"
