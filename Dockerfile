FROM python:3.11-slim

# Runs are tagged with the git commit that trained them.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends git \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home tidecast \
    && install --directory --owner=tidecast /srv/tidecast /srv/artifacts

USER tidecast
WORKDIR /srv/tidecast
ENV PATH=/home/tidecast/venv/bin:$PATH

# Slow steps first: Docker caches them while only code changes.
COPY --chown=tidecast pyproject.toml constraints.txt README.md ./
ARG PACKAGES=
RUN python -m venv /home/tidecast/venv \
    && for room in flows tasks models; do install -D /dev/null $room/__init__.py; done \
    && pip install --no-cache-dir --constraint constraints.txt --editable . $PACKAGES

COPY --chown=tidecast . .
RUN python -m models.kernels
