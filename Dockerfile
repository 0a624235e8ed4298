# Three images: a worker's, with `--target console` the console's, and with `--target training` the one that trains models.
# Locked dependencies, then Holdfast itself, run by an account without rights.
FROM python:3.12-slim AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY features/ features/
COPY models/ models/
COPY segments/ segments/
COPY campaigns/ campaigns/
COPY streams/ streams/
COPY training/ training/
COPY console/ console/
COPY delivery/ delivery/
COPY intelligence/ intelligence/
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.12-slim AS base
ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1
RUN useradd --system --uid 10001 --create-home --shell /usr/sbin/nologin holdfast

FROM base AS training
# Before the source, so that a change of code does not install the dependencies again.
COPY requirements/training.txt /tmp/training.txt
RUN pip install --require-hashes --requirement /tmp/training.txt && rm /tmp/training.txt
COPY --from=build /wheels /wheels
RUN pip install --no-deps --no-index /wheels/*.whl && rm -r /wheels
# By number: Kubernetes checks that it is not root.
USER 10001
WORKDIR /home/holdfast
CMD ["holdfast", "train", "all"]

FROM base AS console
COPY requirements/console.txt /tmp/console.txt
RUN pip install --require-hashes --requirement /tmp/console.txt && rm /tmp/console.txt
COPY --from=build /wheels /wheels
RUN pip install --no-deps --no-index /wheels/*.whl && rm -r /wheels
USER 10001
WORKDIR /home/holdfast
CMD ["holdfast", "console"]

FROM base AS worker
COPY requirements/runtime.txt /tmp/runtime.txt
RUN pip install --require-hashes --requirement /tmp/runtime.txt && rm /tmp/runtime.txt
COPY --from=build /wheels /wheels
RUN pip install --no-deps --no-index /wheels/*.whl && rm -r /wheels
USER 10001
WORKDIR /home/holdfast
CMD ["holdfast", "worker"]
