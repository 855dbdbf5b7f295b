# Image with hpo and Ray for every node of a cluster. Build it in the root of the repository:
#   docker build --file docker/hpo.Dockerfile --tag hpo .
# For CUDA, add --build-arg DEVICE=cuda
FROM python:3.11-slim-bookworm AS build
ARG DEVICE=cpu
ARG TORCH_VERSION=2.13.0
RUN python -m venv /opt/hpo
ENV PATH=/opt/hpo/bin:$PATH
WORKDIR /build
COPY docker/requirements-hpo.txt ./
RUN pip install --no-cache-dir --requirement requirements-hpo.txt
# PyTorch is installed last, so that its dependencies except CUDA already have their locked versions. PyPI has the
# build for CUDA. (The linter takes "$@" for a package without a version.)
# hadolint ignore=DL3013
RUN case "$DEVICE" in \
        cpu) set -- --index-url https://download.pytorch.org/whl/cpu ;; \
        cuda) set -- ;; \
        *) echo "DEVICE must be cpu or cuda, got $DEVICE" >&2; exit 2 ;; \
    esac \
    && pip install --no-cache-dir "$@" "torch==$TORCH_VERSION"
COPY pyproject.toml README.md LICENSE ./
COPY hpo hpo
COPY model model
COPY search_spaces search_spaces
RUN pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.11-slim-bookworm
# KubeRay checks the health of its pods with wget.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install --yes --no-install-recommends wget \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --create-home hpo \
    && install --directory --owner hpo /studies /data
COPY --from=build /opt/hpo /opt/hpo
ENV PATH=/opt/hpo/bin:$PATH \
    HPO_RUNS=/studies/runs \
    HPO_CACHE=/studies/cache \
    HPO_DATA=/data \
    RAY_AUTH_MODE=token \
    RAY_USAGE_STATS_ENABLED=0
USER 10001
WORKDIR /home/hpo
CMD ["hpo", "--help"]
