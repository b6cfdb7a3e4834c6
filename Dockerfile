# rclonepool with rclone, for one pool. README.md and docs/packages.md say how to use it.
#
#   docker build -t rclonepool .
#   docker run -d -v ~/.config/rclonepool:/config -p 8080:8080 -p 8081:8081 rclonepool
#
# /config holds config.json and rclone.conf, and must be writable: rclone renews logins in it. /cache holds the index.
ARG DEBIAN=bookworm
ARG RUST=1.95
ARG RCLONE=1.75.2

FROM rclone/rclone:${RCLONE} AS rclone

FROM rust:${RUST}-${DEBIAN} AS build
WORKDIR /src
COPY . .
# The cache of cargo's downloads and of the build stays outside the image.
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --locked --release --package rclonepool-cli --bin rclonepool \
    && install -D target/release/rclonepool /out/rclonepool

FROM debian:${DEBIAN}-slim
LABEL org.opencontainers.image.title="rclonepool" \
      org.opencontainers.image.description="One storage pool out of many rclone remotes" \
      org.opencontainers.image.licenses="MIT"
# More Debian packages: python3 for plugins written in Python, say.
ARG EXTRA_PACKAGES=""
# Certificates for the remotes; curl asks whether the server is healthy.
# hadolint ignore=DL3008,SC2086
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates curl ${EXTRA_PACKAGES} \
    && rm -rf /var/lib/apt/lists/*
RUN groupadd --gid 1000 rclonepool \
    && useradd --uid 1000 --gid 1000 --home-dir /config --no-create-home --shell /usr/sbin/nologin rclonepool \
    && install -d -o 1000 -g 1000 -m 700 /config \
    && install -d -m 1777 /cache
COPY --from=rclone /usr/local/bin/rclone /usr/local/bin/rclone
COPY --from=build /out/rclonepool /usr/local/bin/rclonepool
COPY --chmod=755 packaging/docker-entrypoint /usr/local/bin/docker-entrypoint
# Found out while the image is made, not when it is first used.
RUN rclone version && rclonepool version

ENV HOME=/config \
    RCLONEPOOL_CONFIG=/config/config.json \
    RCLONE_CONFIG=/config/rclone.conf \
    XDG_CACHE_HOME=/cache
USER 1000:1000
WORKDIR /config
VOLUME ["/config", "/cache"]
EXPOSE 8080 8081 9090
HEALTHCHECK --interval=30s --timeout=10s --start-period=2m --retries=3 CMD ["docker-entrypoint", "is-healthy"]
ENTRYPOINT ["docker-entrypoint"]
CMD ["serve", "--api"]
