#!/bin/bash
# Builds the container image of the example programs, all but the demo.
#
#   build.sh [NAME:TAG]     default nuvlaops:dev
#
# The programs are compiled on this machine, static and stripped, so the build needs no registry: the image is made FROM
# scratch. It runs as uid 65532, has no shell, and knows UTC only. Its label lets "make clean" remove it; a
# test that wants its image to end with itself gives its own value of that label in NUVLAOPS_OWNER.
#
# Exit codes: 0 built, 1 go or docker failed, 2 no CA certificates on this machine.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
readonly here image=${1:-nuvlaops:dev}
cd "$here/../.."

context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT
mkdir -p "$context"/{empty,root/usr/local/bin,root/etc/ssl/certs}

# Where Debian, Fedora, and Alpine keep them; Go looks in the same places.
certificates=
for file in "${SSL_CERT_FILE:-}" /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem; do
  if [[ -s $file ]]; then certificates=$file && break; fi
done
[[ -n $certificates ]] || { echo "image: no CA certificates here: install ca-certificates, or name a file in SSL_CERT_FILE" >&2; exit 2; }
install -m 644 "$certificates" "$context/root/etc/ssl/certs/ca-certificates.crt"

mapfile -t programs < <(go list -f '{{if eq .Name "main"}}{{.ImportPath}}{{end}}' ./examples/... | grep -v '/demo$')
CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o "$context/root/usr/local/bin/" "${programs[@]}"

revision=$(git rev-parse HEAD 2>/dev/null || echo unknown)
docker build --quiet --force-rm --file "$here/Dockerfile" --tag "$image" \
  --label "org.nuvla.nuvlaops.testenv=${NUVLAOPS_OWNER:-image}" \
  --label org.opencontainers.image.title=nuvlaops \
  --label org.opencontainers.image.source=https://github.com/nuvla/nuvlaops \
  --label org.opencontainers.image.licenses=Apache-2.0 \
  --label org.opencontainers.image.revision="$revision" \
  "$context" >/dev/null
# what is in it: the containerd image store of an engine counts it twice, packed and unpacked
size=$(find "$context/root" -type f -exec cat {} + | wc -c)
echo "image: $image, $((size / 1000000)) MB, with ${programs[*]##*/}"
