"""Logging in: plugins, TLS and its reload, client certificates, the PROXY protocol, files read anew."""

import json
import signal
import ssl

import pytest
import raw_mysql as raw
from conftest import USERS, SecureGate
from local_cluster import wait_until


def tls():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def log_in(gate, user, password, **options):
    with raw.Client(gate.port, user, password, **options) as client:
        return client.login[0] if client.login[0] != "error" else client.login[1]


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("plugin", [b"caching_sha2_password", b"mysql_native_password", b"mysql_clear_password", b"dialog"])
def test_every_plugin_over_tls(gate, user, plugin):
    assert log_in(gate, user, "secret", tls=tls(), plugin=plugin) == "ok"
    assert log_in(gate, user, "wrong", tls=tls(), plugin=plugin) == 1045
    assert log_in(gate, user, "", tls=tls(), plugin=plugin) == 1045


def test_without_tls_the_password_is_not_sent_in_clear(gate):
    assert log_in(gate, "app", "secret", plugin=b"mysql_clear_password") == "ok"  # by a switch to another plugin
    assert log_in(gate, "nobody", "secret") == 1045


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_versions(gate, version):
    context = tls()
    context.minimum_version = context.maximum_version = version
    with raw.Client(gate.port, "app", "secret", tls=context) as client:
        assert client.socket.version() == {ssl.TLSVersion.TLSv1_2: "TLSv1.2", ssl.TLSVersion.TLSv1_3: "TLSv1.3"}[version]
        assert client.query("SELECT 1")[0][0] == "rows"


def certificate(gate):
    with raw.Client(gate.port, "app", "secret", tls=tls()) as client:
        return client.socket.getpeercert(binary_form=True)


def test_users_and_certificates_are_read_anew(cluster):
    with SecureGate(cluster) as gate, raw.Client(gate.port, "app", "secret", tls=tls()) as before:
        first = certificate(gate)
        gate.make_certificate("two")
        gate.users.write_text(json.dumps({**USERS, "late": [{"Password": "comer"}]}))
        gate.process.send_signal(signal.SIGHUP)
        wait_until(lambda: log_in(gate, "late", "comer") == "ok", 10, "the new user")
        assert certificate(gate) != first
        assert before.query("SELECT 1")[0][0] == "rows"  # sessions go on
        gate.users.write_text("{ broken")
        gate.process.send_signal(signal.SIGHUP)
        assert log_in(gate, "late", "comer") == "ok"


def test_client_certificates(cluster, gate):
    # The certificate signs itself, so it is its own CA, for clients that show it.
    with SecureGate(cluster, f"--mysql-server-ssl-ca={gate.cert}", ready=False) as strict:
        context = tls()
        context.load_cert_chain(gate.cert, gate.key)
        assert wait_until(lambda: log_in(strict, "app", "secret", tls=context) == "ok", 20, "a client with a certificate")
        with pytest.raises((raw.Lost, OSError)):
            log_in(strict, "app", "secret", tls=tls())


def test_proxy_protocol(cluster):
    with SecureGate(cluster, "--proxy-protocol") as gate:
        for header in (b"PROXY TCP4 10.9.8.7 127.0.0.1 40000 3306\r\n",
                       b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\x0a\x09\x08\x07\x7f\0\0\1\x9c\x40\x0c\xea"):
            with raw.Client(gate.port, "app", "secret", before=header) as client:
                assert raw.text_row(client.query("SELECT USER()")[0][2][0]) == (b"app@10.9.8.7",)
            with raw.Client(gate.port, "app", "wrong", before=header) as client:
                assert "'app'@'10.9.8.7'" in client.login[3]
        for wrong in (b"GET / HTTP/1.1\r\n\r\n", b"PROXY TCP4 10.9.8.7\r\n"):
            with pytest.raises((raw.Lost, OSError)):
                raw.Client(gate.port, "app", "secret", before=wrong)


def test_no_tls_where_it_is_required(cluster):
    with SecureGate(cluster, "--mysql-server-require-secure-transport", ready=False) as gate:
        wait_until(lambda: log_in(gate, "app", "secret", tls=tls()) == "ok", 20, "a client over TLS")
        assert log_in(gate, "app", "secret") == 3159
        assert log_in(gate, "app", "secret", tls=tls()) == "ok"
