# The command `tips` with everything it needs, on the CPU, as an ordinary user.
FROM python:3.11-slim-bookworm

ENV PYTHONUNBUFFERED=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1

# The pair that the Makefile tests; the CPU builds are a tenth of the size of the default ones.
RUN pip install torch==2.14.1 torchvision==0.29.1 --index-url https://download.pytorch.org/whl/cpu

WORKDIR /app
COPY pyproject.toml README.md LICENSE ./
COPY tips_model tips_model
COPY indexer indexer
COPY search search
COPY ui ui
# Editable: the pictures, weights and theme beside the code are read where they are.
RUN pip install --editable .

RUN useradd --uid 1000 --create-home tips && install -d -o tips -g tips /data
USER tips
# Collection, downloaded weights and the caches of libraries live on the volume.
ENV HOME=/data \
    TIPS_COLLECTION=/data/collection \
    TIPS_CACHE=/data/models
VOLUME /data
# The app, and the service (`tips serve`).
EXPOSE 8501 8765

HEALTHCHECK --interval=30s --timeout=5s --start-period=30s CMD \
    ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8501/_stcore/health', timeout=4)"]

ENTRYPOINT ["tips"]
CMD ["ui", "--host", "0.0.0.0", "--no-browser"]
