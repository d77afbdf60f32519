"""An S3 of the tests' own, on this machine."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def s3_server() -> Iterator[str]:
    """The URL of an empty bucket; the environment leads every S3 client to it. Skips the test,
    with the reason, where moto is not installed."""
    servers = pytest.importorskip("moto.server", reason="moto is not installed: no S3 is tested")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = servers.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
            "AWS_ALLOW_HTTP": "true",
        }.items():
            patch.setenv(name, value)
        from s3fs import S3FileSystem

        S3FileSystem.clear_instance_cache()  # those made before lead elsewhere
        bucket = f"bucket-{port}"  # moto keeps what was in the others
        S3FileSystem().mkdir(bucket)
        try:
            yield f"s3://{bucket}"
        finally:
            S3FileSystem.clear_instance_cache()
            server.stop()
