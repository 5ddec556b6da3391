# auditwatch as a sidecar.
#
#   docker run -v /var/log/trading:/trails:ro -v auditwatch:/var/lib/auditwatch -p 127.0.0.1:9973:9973 auditwatch
#
# Mount the DIRECTORY of the trail, never the file alone: a bind mount of a single file pins its inode, and after a
# rotation the agent would look at the old file forever. Read-only is enough: the agent never writes to a trail.

FROM python:3.12-slim AS build
WORKDIR /source
# The native judge needs a compiler, here only.
RUN apt-get update \
 && apt-get install -y --no-install-recommends gcc libc6-dev \
 && rm -rf /var/lib/apt/lists/* \
 && python -m venv /opt/auditwatch
COPY pyproject.toml setup.py README.md LICENSE ./
COPY auditwatch ./auditwatch
# Without a compiler the package installs as well, and judges in Python: an image that does is refused.
RUN /opt/auditwatch/bin/pip install --no-cache-dir '.[agent]' \
 && /opt/auditwatch/bin/auditwatch --version \
 && /opt/auditwatch/bin/auditwatch --version | grep -q '(native judge)'

FROM python:3.12-slim
# A fixed uid, so that `chown 9973` and `group_add` outside the container can refer to it.
RUN useradd --system --uid 9973 --home-dir /var/lib/auditwatch --create-home --shell /usr/sbin/nologin auditwatch \
 && chmod 0700 /var/lib/auditwatch
COPY --from=build /opt/auditwatch /opt/auditwatch
ENV PATH=/opt/auditwatch/bin:$PATH PYTHONUNBUFFERED=1
USER auditwatch
VOLUME ["/var/lib/auditwatch"]
EXPOSE 9973
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=15s CMD ["auditwatch", "healthcheck", "--url", "http://127.0.0.1:9973"]
ENTRYPOINT ["auditwatch"]
# All interfaces of the container: the published port decides who can reach them.
CMD ["run", "--state-dir", "/var/lib/auditwatch", "--web.listen-address", "0.0.0.0:9973", "/trails/audit_trail.jsonl"]
