# syntax=docker/dockerfile:1
# The server alone. Build: docker build -t landfall .   Run: see docs/operations.md

FROM node:24-trixie-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
COPY client/package.json client/
COPY server/package.json server/
COPY .ci/reference/package.json .ci/reference/
# --ignore-scripts: no package of this image needs an install script.
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY . .
# The build needs the development dependencies, so they are removed only afterwards. Pruning the same install keeps the same versions.
# The packages for S3 and PostgreSQL stay, because they are optional peers of the server.
RUN npm run build && npm prune --omit=dev --ignore-scripts --no-audit --no-fund

FROM node:24-trixie-slim
ENV NODE_ENV=production LANDFALL_HOST=0.0.0.0 LANDFALL_PORT=1080 LANDFALL_DATA_DIR=/data
WORKDIR /app
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/server/package.json ./server/
COPY --from=build /app/server/dist ./server/dist
# The user `node` must own the directory before VOLUME, because the volume keeps the owner.
RUN mkdir --mode=0750 /data && chown node:node /data
VOLUME /data
EXPOSE 1080
USER node
# /health/live, not /health/ready: orchestrators end an unhealthy container, and a new container does not bring back an unreachable
# ledger or bucket.
HEALTHCHECK --interval=10s --timeout=5s --start-period=15s \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.LANDFALL_PORT}/health/live`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
# Running requests end within LANDFALL_SHUTDOWN_GRACE (10 s). Allow more time than that: docker stop --time 20
STOPSIGNAL SIGTERM
ENTRYPOINT ["node", "server/dist/server/main.js"]
