# The MLflow server with users and passwords, its records in PostgreSQL. Build from the repository's root:
#   docker build --file docker/mlflow.Dockerfile --tag hpo-mlflow .
FROM python:3.11-slim-bookworm
WORKDIR /srv
COPY docker/requirements-mlflow.txt docker/mlflow-auth.ini ./
RUN pip install --no-cache-dir --requirement requirements-mlflow.txt \
    && useradd --uid 10001 --create-home mlflow \
    && install --directory --owner mlflow /artifacts
# One worker: several would make the tables of users at the same time when they are first started.
# Where the data base is, its user and password come from PGHOST, PGUSER, PGPASSWORD and PGDATABASE.
ENV MLFLOW_BACKEND_STORE_URI=postgresql+psycopg2:// \
    MLFLOW_ARTIFACTS_DESTINATION=/artifacts \
    MLFLOW_AUTH_CONFIG_PATH=/srv/mlflow-auth.ini \
    MLFLOW_HOST=0.0.0.0 \
    MLFLOW_PORT=5000 \
    MLFLOW_WORKERS=1 \
    MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false \
    MLFLOW_DISABLE_TELEMETRY=true
USER 10001
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:5000/health', timeout=4)"]
CMD ["mlflow", "server", "--app-name", "basic-auth"]
