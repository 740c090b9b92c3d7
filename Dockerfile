FROM python:3.11-slim AS build
WORKDIR /src
RUN python -m venv /opt/streamer
COPY pyproject.toml README.md constraints.txt ./
COPY schemas schemas
COPY streamer streamer
RUN /opt/streamer/bin/pip install --no-cache-dir --constraint constraints.txt '.[postgres]'

FROM python:3.11-slim
# The ids are fixed so that the owner of a bind-mounted /data can be set before the first start.
RUN groupadd --gid 10001 streamer \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /data --shell /usr/sbin/nologin streamer \
    && install --directory --owner=streamer --group=streamer /data
COPY --from=build /opt/streamer /opt/streamer
ENV PATH=/opt/streamer/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    STREAMER_HOME=/data \
    STREAMER_LISTEN=0.0.0.0:4280
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 4280
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:4280/livez', timeout=3)"]
ENTRYPOINT ["streamer"]
CMD ["run"]
