"""Whom a client over HTTPS believes."""

import ssl

from adapters.certificates import trusted


def test_a_stranger_with_a_certificate_of_their_own_is_not_believed():
    context = trusted()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.cert_store_stats()["x509_ca"] > 0


def test_certificates_are_read_once():
    assert trusted() is trusted()
