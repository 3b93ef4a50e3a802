# The whole app on one machine, as `make run` starts it: `docker compose up`, or
#   docker build --tag dip . && docker run --init --shm-size 2g \
#     --publish 127.0.0.1:8000:8000 --publish 127.0.0.1:8001:8001 dip
# Any Debian with Python 3.11 or newer, and any with Node 20 or newer, serve as bases.
ARG PYTHON_IMAGE=docker.io/library/python:3.13-slim-trixie
ARG NODE_IMAGE=docker.io/library/node:22-trixie-slim

FROM ${PYTHON_IMAGE} AS app
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
        rabbitmq-server procps \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/dip
COPY requirements.lock pyproject.toml ./
COPY config config
COPY cluster_worker cluster_worker
# The versions of the lock, of those packages that the app needs.
RUN grep -o '^[^ ]*==[^ ]*' requirements.lock >/tmp/versions \
    && python3 -m venv .venv \
    && .venv/bin/pip install --no-cache-dir --disable-pip-version-check \
        --constraint /tmp/versions --editable '.[api,worker,server,local]' \
    && rm /tmp/versions
COPY api api
COPY infra infra
RUN .venv/bin/python -m cluster_worker.operations >/tmp/catalogue.json \
    && mv /tmp/catalogue.json config/contract/catalogue.json \
    && PYTHONPATH=.:api .venv/bin/python -c \
        'from chalicelib import contract; contract.write_whole()' \
    && .venv/bin/python -m cluster_worker.table_pictures /tmp/tables

FROM ${NODE_IMAGE} AS site
WORKDIR /opt/dip
COPY frontend/package.json frontend/package-lock.json frontend/
RUN npm --prefix frontend ci --no-audit --no-fund
COPY frontend frontend
COPY docs/operations/pictures docs/operations/pictures
COPY config/contract/presets.json config/contract/formats.json config/contract/
COPY --from=app /opt/dip/config/contract/catalogue.json config/contract/catalogue.json
COPY --from=app /tmp/tables frontend/src/features/filters/tables
RUN npm --prefix frontend run build

FROM app
COPY --from=site /opt/dip/frontend/dist frontend/dist
# Logs, messages and images go to .run; kernels are compiled at the first start, beside the work.
RUN useradd --user-group --no-create-home --home-dir /tmp --shell /usr/sbin/nologin dip-app \
    && install -d -o dip-app .run /var/cache/dip
ENV LOCAL_HOST=0.0.0.0 \
    PORT=8000 \
    S3_PORT=8001 \
    NUMBA_CACHE_DIR=/var/cache/dip \
    PYTHONUNBUFFERED=1
USER dip-app
EXPOSE 8000 8001
ENTRYPOINT [".venv/bin/python", "-m", "infra.local"]
