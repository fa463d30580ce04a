# SPDX-License-Identifier: Apache-2.0
"""Makes a bucket in the object store where there is none yet, and waits until the store answers.

Where it lies and with which key is said as to every S3 client: AWS_ENDPOINT_URL,
AWS_SHARED_CREDENTIALS_FILE.
"""

import sys
import time

from boto3 import client
from botocore.exceptions import BotoCoreError, ClientError

PATIENCE_S = 120
"""An object store may need a minute to start."""

THERE_ALREADY = ("BucketAlreadyOwnedByYou", "BucketAlreadyExists")
"""What a store answers whose bucket was made before."""


def make_bucket(name: str, patience_s: float = PATIENCE_S) -> None:
    """Make it, or end with the store's last answer."""
    store, last = client("s3"), time.monotonic() + patience_s
    while True:
        try:
            store.create_bucket(Bucket=name)
        except ClientError as error:
            if error.response["Error"]["Code"] in THERE_ALREADY:
                return
            if time.monotonic() > last:
                raise
        except BotoCoreError:
            if time.monotonic() > last:
                raise
        else:
            return
        time.sleep(1)


if __name__ == "__main__":
    make_bucket(sys.argv[1])
