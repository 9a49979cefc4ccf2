# The runner alone, for `docker compose --profile full`: PostgreSQL and Firefox have containers of their own.
FROM rust:1-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked --package=master_runner

FROM debian:bookworm-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates poppler-utils postgresql-client tzdata \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --home-dir /var/lib/master_runner --create-home master_runner
COPY --from=build /src/target/release/master_runner /usr/local/bin/master_runner
USER master_runner
# What it writes (archive, logs) lies in the volume.
WORKDIR /var/lib/master_runner
ENTRYPOINT ["master_runner"]
