# Image with an MLflow server with users and passwords and a PostgreSQL store. Build it in the root of the repository:
#   docker build --file docker/mlflow.Dockerfile --tag hpo-mlflow .
FROM python:3.11-slim-bookworm
WORKDIR /srv
COPY docker/requirements-mlflow.txt docker/mlflow-auth.ini ./
RUN pip install --no-cache-dir --requirement requirements-mlflow.txt \
    && useradd --uid 10001 --create-home mlflow \
    && install --directory --owner mlflow /artifacts
# One worker, since several would create the tables of users at the same time on the first start.
# PGHOST, PGUSER, PGPASSWORD and PGDATABASE set the address, user, password and name of the database.
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
