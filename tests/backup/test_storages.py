"""The suite that every storage passes, against servers that speak S3's and Google Cloud Storage's protocols; and what a bucket,
a key or a token that is wrong makes of it."""

import os

import pytest
from local_cluster import REPO, run
from object_stores import S3_ENVIRONMENT, TokenGuard, answering, gcs_server, s3_server

SUITE = REPO / "build/release/src/backup_test"
GOOGLE = ("STORAGE_EMULATOR_HOST", "GOOGLE_APPLICATION_CREDENTIALS", "GCE_METADATA_HOST")


@pytest.fixture(scope="module")
def s3():
    with s3_server() as address:
        yield f"endpoint=http://{address}&path_style=true"


@pytest.fixture(scope="module")
def gcs():
    with gcs_server() as address:
        yield address


@pytest.fixture(scope="module")
def guard(gcs):
    guard = TokenGuard(gcs)
    yield guard
    guard.close()


def suite(kind, address, test="*", **environment):
    clean = {name: value for name, value in os.environ.items() if name not in GOOGLE}
    return run([SUITE, f"--gtest_filter=Storages/ConformanceTest.{test}/{kind}"], seconds=120, check=False,
               env={**clean, f"PACELINE_TEST_{kind.upper()}": address, **S3_ENVIRONMENT, **environment})


def passed(said, tests):
    return f"[  PASSED  ] {tests} test" in said and "SKIPPED" not in said


def test_s3_passes_the_suite(s3):
    said = suite("s3", f"s3://backups/some/prefix?{s3}")
    assert passed(said, 6), said


def test_gcs_passes_the_suite(gcs):
    said = suite("gcs", "gs://backups/some/prefix", STORAGE_EMULATOR_HOST=gcs)
    assert passed(said, 6), said


def test_a_missing_bucket_is_named(s3, gcs):
    said = suite("s3", f"s3://nowhere?{s3}", "ListsNames*")
    assert "FAILED" in said and "NoSuchBucket" in said and "nowhere" in said, said
    said = suite("gcs", "gs://nowhere", "AnObjectIsReplaced*", STORAGE_EMULATOR_HOST=gcs)
    assert "FAILED" in said and "nowhere" in said and "404" in said, said


def test_a_server_that_is_away_is_named():
    said = suite("s3", "s3://backups?endpoint=http://127.0.0.1:9&path_style=true", "ListsNames*")
    assert "FAILED" in said and "127.0.0.1:9" in said, said
    said = suite("gcs", "gs://backups", "ListsNames*", STORAGE_EMULATOR_HOST="127.0.0.1:9")
    assert "FAILED" in said and "127.0.0.1:9" in said, said


def test_gcs_signs_in_by_a_service_account_and_renews_its_token(guard):
    account = str(guard.credentials())
    address = f"gs://backups?endpoint=http://{guard.address}"
    said = suite("gcs", address, "ListsNames*", GOOGLE_APPLICATION_CREDENTIALS=account)
    assert passed(said, 1), said
    # Somebody else's token makes this one old.
    before = guard.tokens
    said = suite("gcs", address, "ListsNames*", GCE_METADATA_HOST=guard.address)
    assert passed(said, 1) and guard.tokens > before, said


def test_gcs_names_credentials_that_are_refused(guard, tmp_path):
    address = f"gs://backups?endpoint=http://{guard.address}"
    other = tmp_path / "other.pem"
    run(["openssl", "genrsa", "-out", other, "2048"])
    said = suite("gcs", address, "ListsNames*", GOOGLE_APPLICATION_CREDENTIALS=str(guard.credentials(other.read_text())))
    assert "FAILED" in said and "invalid_grant" in said and "/token" in said, said
    said = suite("gcs", address, "ListsNames*", GOOGLE_APPLICATION_CREDENTIALS="/nonexistent.json")
    assert "FAILED" in said and "/nonexistent.json" in said, said


def test_s3_names_credentials_that_have_expired():
    with answering(400, b"<Error><Code>ExpiredToken</Code></Error>") as address:
        said = suite("s3", f"s3://backups?endpoint=http://{address}&path_style=true", "ListsNames*")
    assert "FAILED" in said and "ExpiredToken" in said and "backups" in said, said
