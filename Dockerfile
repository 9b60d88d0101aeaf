# A node of the mesh with a nats-server of its own.
#
#   docker build -t mesh-events .
#   docker run --name mesh -p 127.0.0.1:4222:4222 -v mesh-events:/var/lib/mesh-events mesh-events
#
# Any program that reaches port 4222 may do everything: publish it on this machine only, or let users in by keys
# (`mesh-events auth init`): mount that directory and add `serve --auth /etc/mesh-events/auth --listen 0.0.0.0`.
# The page listens within the container only, where HEALTHCHECK asks it; to publish it as well, add
# `--dashboard-listen 0.0.0.0:8080 --token-file FILE`.
FROM swift:6.3-bookworm AS build
WORKDIR /source
COPY Package.swift ./
COPY Sources ./Sources
# The manifest names targets there.
COPY Tests ./Tests
COPY Examples ./Examples
RUN swift build -c release --product mesh-events --static-swift-stdlib \
    && install -D "$(swift build -c release --product mesh-events --static-swift-stdlib --show-bin-path)/mesh-events" /out/mesh-events \
    && strip --strip-debug /out/mesh-events

FROM debian:12-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates nats-server tini \
    && rm -rf /var/lib/apt/lists/*
RUN useradd --system --uid 10001 --home-dir /var/lib/mesh-events --create-home --shell /usr/sbin/nologin mesh-events \
    && install -d -o mesh-events -g mesh-events -m 700 /var/lib/mesh-events \
    && install -d /etc/mesh-events
COPY --from=build /out/mesh-events /usr/local/bin/mesh-events
ENV HOME=/var/lib/mesh-events XDG_DATA_HOME=/var/lib
# mesh.yaml, the tools, is read from here when it is there.
WORKDIR /etc/mesh-events
USER mesh-events
VOLUME /var/lib/mesh-events
EXPOSE 4222 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 \
    CMD ["/bin/bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/8080 && printf 'GET /healthz HTTP/1.1\\r\\nHost: 127.0.0.1:8080\\r\\nConnection: close\\r\\n\\r\\n' >&3 && head -1 <&3 | grep -q ' 200 '"]
# tini is process 1: it waits for the processes that tools leave behind, which nobody else would.
ENTRYPOINT ["/usr/bin/tini", "--", "/usr/local/bin/mesh-events"]
CMD ["serve", "--listen", "0.0.0.0", "--dashboard"]
