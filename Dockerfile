# DOPE in a container: `docker build -t dope .` and `docker run --rm -p 127.0.0.1:8080:8080 --env-file .env -v dope:/data dope`
FROM python:3.11.13-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /venv
COPY requirements.txt requirements.lock /tmp/
RUN /venv/bin/python -m pip install -r /tmp/requirements.txt -c /tmp/requirements.lock

FROM python:3.11.13-slim-bookworm
RUN groupadd --gid 10001 dope && useradd --uid 10001 --gid 10001 --create-home dope \
    && install -d -o dope -g dope /data /data/models
COPY --from=build /venv /venv
WORKDIR /app
COPY LICENSE README.md app.py ./
COPY assets ./assets
COPY dope ./dope
# All interfaces of the container only: what reaches it from outside is decided by `docker run -p`. The .env must say who may
# come in and under which names (README, Security), or it refuses to start.
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 NUMBA_CACHE_DIR=/home/dope/.numba \
    DOPE_HOST=0.0.0.0 DOPE_PORT=8080 DOPE_DATA_DIR=/data DOPE_MODEL_DIR=/data/models
USER 10001:10001
# A few seconds of the simulated market compile the kernel, so that the first start need not.
RUN python app.py record --source sim --seconds 5 --data-dir /tmp/warm && rm -rf /tmp/warm
VOLUME /data
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(f\"http://127.0.0.1:{os.environ['DOPE_PORT']}/health\", timeout=2)"]
CMD ["python", "app.py"]
