FROM rust:1-bookworm AS build
WORKDIR /build
COPY . .
RUN cargo build --release --locked --bin master_runner

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates poppler-utils postgresql-client \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --create-home --home-dir /var/lib/master_runner runner
COPY --from=build /build/target/release/master_runner /usr/local/bin/master_runner
USER runner
WORKDIR /var/lib/master_runner
ENTRYPOINT ["master_runner", "--config", "/etc/master_runner/runner.ron"]
