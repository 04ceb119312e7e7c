#!/usr/bin/env bash
# Makes the base images from Debian's packages alone, where no container registry can be reached: Python, PostgreSQL and
# Redis. Needs root, debootstrap and a Docker engine; brings docker compose where it is missing. Prints the variables that
# compose.yaml reads:
#   eval "$(docker/debian/images.sh)"
# HTTPS inside the images trusts what this machine trusts, so a company's own certificates work there as well.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
suite=trixie
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
plugins=${DOCKER_CONFIG:-$HOME/.docker}/cli-plugins

say() { echo "$*" >&2; }

# build TAG PACKAGE... : an image of Debian with these packages; what it runs comes from standard input.
build() {
  local tag=$1; shift
  { echo "FROM regime-debian:$suite"
    echo "RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends $* && rm -rf /var/lib/apt/lists/*"
    cat
  } > "$here/.Dockerfile"
  say "$tag"
  DOCKER_BUILDKIT=0 docker build --quiet --tag "$tag" --file "$here/.Dockerfile" "$here" >&2
  rm -f "$here/.Dockerfile"
}

if ! docker image inspect "regime-debian:$suite" > /dev/null 2>&1; then
  say "Debian $suite, by debootstrap"
  debootstrap --variant=minbase --include=ca-certificates "$suite" "$work/root" >&2
  cp /etc/ssl/certs/ca-certificates.crt "$work/root/etc/ssl/certs/ca-certificates.crt"
  tar -C "$work/root" --exclude='./var/cache/apt/archives/*.deb' -c . \
    | docker import --change 'ENV LANG=C.UTF-8' \
        --change 'ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt PIP_CERT=/etc/ssl/certs/ca-certificates.crt' \
        - "regime-debian:$suite" >&2
fi

build regime-python:$suite python3 python3-venv <<'IMAGE'
RUN ln -s python3 /usr/bin/python
CMD ["python3"]
IMAGE
build regime-postgres:$suite postgresql <<'IMAGE'
COPY postgres.sh /usr/local/bin/
ENV PGDATA=/var/lib/postgresql/data
RUN install -d -o postgres -g postgres -m 700 "$PGDATA"
USER postgres
STOPSIGNAL SIGINT
ENTRYPOINT ["/usr/local/bin/postgres.sh"]
IMAGE
build regime-redis:$suite redis-server <<'IMAGE'
RUN install -d -o redis -g redis /data
USER redis
WORKDIR /data
CMD ["redis-server"]
IMAGE

if ! docker compose version > /dev/null 2>&1; then
  say "docker compose, from Debian's package"
  # A container, for this machine's own Debian may be too old to have the package.
  docker run --rm --volume "$work:/out" "regime-debian:$suite" sh -c \
    'apt-get update -qq && cd /tmp && apt-get download -qq docker-compose docker-buildx && for deb in *.deb; do dpkg -x "$deb" /out/deb; done' >&2
  mkdir -p "$plugins"
  find "$work/deb" -type f -path '*cli-plugins/*' -exec cp {} "$plugins/" \;
fi

echo "export REGIME_PYTHON_IMAGE=regime-python:$suite REGIME_POSTGRES_IMAGE=regime-postgres:$suite REGIME_REDIS_IMAGE=regime-redis:$suite"
