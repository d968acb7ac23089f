# The atlas and its indexer. Build arguments:
#   KIND         cpu (default) or gpu: which FAISS and torch go in
#   EXTRA_INDEX  address of a further package index, for example one with CPU-only builds of torch
# docker build -t atlas . && docker run -p 8000:8000 -v /srv/atlas-data:/data:ro atlas
FROM python:3.11-slim AS build
ARG KIND=cpu
ARG EXTRA_INDEX=""
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /opt/atlas
COPY requirements requirements
COPY scripts/environment scripts/environment
COPY pyproject.toml README.md LICENSE ./
COPY atlas atlas
COPY indexer indexer
RUN PIP_EXTRA_INDEX_URL="$EXTRA_INDEX" scripts/environment "$KIND"
COPY scripts/page scripts/page
COPY web web
RUN scripts/page && rm -rf web/node_modules

FROM python:3.11-slim
# The CPU wheels bring their own OpenMP run-time; libgomp is for those that look for the system's.
RUN apt-get update && apt-get install --yes --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --create-home atlas
WORKDIR /opt/atlas
COPY --from=build --chown=root:root /opt/atlas /opt/atlas
COPY configs configs
ENV PATH=/opt/atlas/.venv/bin:$PATH PYTHONUNBUFFERED=1
USER atlas
EXPOSE 8000
VOLUME /data
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health/ready', timeout=4)"]
ENTRYPOINT ["atlas"]
CMD ["serve", "--bundle", "/data", "--host", "0.0.0.0", "--port", "8000"]
