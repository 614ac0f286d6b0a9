# docker build -t explainrec-lab . && docker run --rm -p 8888:8888 explainrec-lab
# JupyterLab with the course, for CPUs; it prints the address to open, with its token.
FROM python:3.12-slim

RUN apt-get update -q && apt-get install -y -q --no-install-recommends git \
 && rm -rf /var/lib/apt/lists/* \
 && pip install --no-cache-dir uv \
 && useradd --create-home reader \
 && mkdir /course /opt/env \
 && chown reader /course /opt/env
USER reader
ENV VIRTUAL_ENV=/opt/env PATH=/opt/env/bin:$PATH
WORKDIR /course
COPY --chown=reader . .
RUN uv venv --allow-existing "$VIRTUAL_ENV" \
 && uv pip install --no-cache --torch-backend=cpu -e '.[book]'

EXPOSE 8888
CMD ["jupyter", "lab", "--ip=0.0.0.0", "--no-browser", "book"]
