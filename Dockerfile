# The studio on a machine without a screen:
#
#   docker build -t dcgan .
#   docker run --rm --init -p 7860:7860 -v "$PWD/runs:/runs" -v "$PWD/pictures:/data" dcgan
#
# It prints an address with a token. Open it with the name of the machine in the place of 0.0.0.0.
FROM python:3.12-slim
WORKDIR /source
COPY . .
ARG PIP_OPTIONS=""
RUN PIP_OPTIONS="$PIP_OPTIONS" sh container/install.sh \
    && useradd --create-home dcgan \
    && install --directory --owner=dcgan /runs /data
USER dcgan
WORKDIR /home/dcgan
VOLUME ["/runs", "/data"]
EXPOSE 7860
ENTRYPOINT ["sh", "/source/container/start.sh"]
