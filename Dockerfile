# One image for worker, intake, Flower, command line and simulator: `docker build -t outdial .`
#
# The base is named by its tag alone, so that it may come from a mirror. Whoever releases pins what it stands for:
#   docker pull python:3.13-slim-trixie
#   docker image inspect --format '{{index .RepoDigests 0}}' python:3.13-slim-trixie
#   docker build --build-arg BASE_IMAGE=python@sha256:... -t outdial .        (compose: BASE_IMAGE= in .env)
ARG BASE_IMAGE=python:3.13-slim-trixie

FROM ${BASE_IMAGE} AS build
WORKDIR /src
# Where packages come from, if not from PyPI or from where the base image says. Empty, pip passes over them.
ARG PIP_INDEX_URL
ARG PIP_TRUSTED_HOST
RUN python3 -m venv /opt/outdial
COPY requirements/image.txt requirements/
# Wheels only: nothing is compiled, and no package runs code of its own while it is installed.
RUN /opt/outdial/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes --only-binary :all: \
        -r requirements/image.txt
COPY pyproject.toml CHANGELOG.md LICENSE README.md SECURITY.md docker-compose.yml ./
COPY docs docs
COPY worker worker
COPY producers producers
COPY ops ops
# What built it stays behind: neither pip nor setuptools is of use where nothing can be written.
RUN /opt/outdial/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation . \
    && /opt/outdial/bin/pip uninstall --yes --quiet setuptools pip

FROM ${BASE_IMAGE}
# As process 1 it hands signals on and reaps what others leave behind; Python would do neither while it starts.
# A base that has it needs no package server.
RUN if ! command -v tini; then \
        apt-get update \
        && apt-get install --yes --no-install-recommends tini=0.19.0* \
        && rm -rf /var/lib/apt/lists/* /var/cache/apt/*; \
    fi \
    && groupadd --gid 10001 outdial \
    && useradd --uid 10001 --gid outdial --home-dir /tmp --no-create-home --shell /usr/sbin/nologin outdial \
    # New volumes and tmpfs take their owner from here.
    && install -d -o outdial -g outdial -m 0700 /run/outdial /var/lib/outdial
COPY --from=build /opt/outdial /opt/outdial
ENV PATH=/opt/outdial/bin:$PATH \
    HOME=/tmp \
    MPLCONFIGDIR=/tmp/matplotlib \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    OUTDIAL_CONFIG=/etc/outdial/outdial.toml
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="outdial" \
      org.opencontainers.image.description="Background dialer between a CRM and a PBX" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# By number, so that Kubernetes can see that it is not root.
USER 10001:10001
WORKDIR /tmp
# No HEALTHCHECK: what is healthy differs between worker, intake and Flower, and stands in docker-compose.yml.
ENTRYPOINT ["tini", "--", "outdial"]
CMD ["--help"]
