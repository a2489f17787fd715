# syntax=docker/dockerfile:1
# The server by itself. Build: docker build -t landfall .   Run: see docs/operations.md

FROM node:24-trixie-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
COPY client/package.json client/
COPY server/package.json server/
COPY .ci/reference/package.json .ci/reference/
# --ignore-scripts: nothing that is needed here runs one.
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY . .
# Without the development dependencies only after the build, which needs them. The same install, so the same versions; what the
# server needs for S3 and PostgreSQL stays, as its optional peers.
RUN npm run build && npm prune --omit=dev --ignore-scripts --no-audit --no-fund

FROM node:24-trixie-slim
ENV NODE_ENV=production LANDFALL_HOST=0.0.0.0 LANDFALL_PORT=1080 LANDFALL_DATA_DIR=/data
WORKDIR /app
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/server/package.json ./server/
COPY --from=build /app/server/dist ./server/dist
# Owned by who runs it before the volume is made, which keeps the owner.
RUN mkdir --mode=0750 /data && chown node:node /data
VOLUME /data
EXPOSE 1080
USER node
# Alive, not ready: orchestrators end what is unhealthy, and a new container does not bring back a ledger or a bucket that is away.
HEALTHCHECK --interval=10s --timeout=5s --start-period=15s \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.LANDFALL_PORT}/health/live`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
# Running requests end within LANDFALL_SHUTDOWN_GRACE, 10 s; give it more than that: docker stop --time 20
STOPSIGNAL SIGTERM
ENTRYPOINT ["node", "server/dist/server/main.js"]
