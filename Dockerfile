# The service without a GPU, by onnxruntime. Build: docker build -t visagist .   Run: see docs/serving.md.
# With torch too, which models without graphs and the studio's new faces take: docker build --build-arg TORCH=yes -t visagist .
FROM python:3.11-slim AS build
ARG TORCH=no
WORKDIR /source
RUN python -m venv /opt/visagist
ENV PATH=/opt/visagist/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
COPY constraints.txt ./
RUN if [ "$TORCH" = yes ]; then \
      pip install -c constraints.txt torch --index-url https://download.pytorch.org/whl/cpu && pip install safetensors \
      && cd /opt/visagist/lib/python3.11/site-packages/torch && rm -rf include share test bin; \
    fi
RUN pip install -c constraints.txt numpy pillow pillow-heif typer rich filelock onnxruntime \
    fastapi uvicorn python-multipart prometheus-client
COPY pyproject.toml README.md LICENSE ./
COPY src ./src
RUN pip install --no-deps . && pip uninstall --yes pip

FROM python:3.11-slim
RUN useradd --uid 10001 --create-home --shell /usr/sbin/nologin visagist
COPY --from=build /opt/visagist /opt/visagist
ENV PATH=/opt/visagist/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 10001
WORKDIR /home/visagist
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --start-period=30s --interval=10s CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz')"]
ENTRYPOINT ["visagist", "serve", "--host", "0.0.0.0", "--port", "8000"]
