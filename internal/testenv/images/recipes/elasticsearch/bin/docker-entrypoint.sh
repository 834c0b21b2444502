#!/bin/bash
# Stands in for the entrypoint of the official image: variables named like settings become settings.
#   discovery.type=single-node  or  ES_SETTING_DISCOVERY_TYPE=single-node   ->   -Ediscovery.type=single-node
set -euo pipefail

settings=()
while IFS= read -r -d '' line; do
  name=${line%%=*} value=${line#*=}
  [[ -n $value ]] || continue
  if [[ $name =~ ^[a-z0-9_]+\.[a-z0-9_]+ ]]; then
    settings+=("-E$name=$value")
  elif [[ $name =~ ^ES_SETTING(_{1,2}[A-Z]+)+$ ]]; then
    name=${name#ES_SETTING_}
    name=${name,,}
    name=${name//__/$'\1'}
    name=${name//_/.}
    settings+=("-E${name//$'\1'/_}=$value")
  fi
done < <(env -0)

case ${1:-eswrapper} in
  eswrapper) exec elasticsearch "${settings[@]}" ;;
  -*) exec elasticsearch "${settings[@]}" "$@" ;;
  *) exec "$@" ;;
esac
