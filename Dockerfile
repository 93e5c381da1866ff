# The image of .ci/image/build, for those who have a registry: the same script puts it together.
FROM rust:1.95-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends python3
COPY . /src
RUN /src/.ci/image/build --tree /out

FROM scratch
COPY --from=build /out/tree/ /
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
LABEL org.opencontainers.image.title="cinder-csi" \
      org.opencontainers.image.description="A CSI driver for OpenStack Cinder" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="0.1.0"
CMD ["/bin/cinder-csi"]
