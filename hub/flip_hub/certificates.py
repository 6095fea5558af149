"""The hub's own certificate authority, and the certificates of its ports, which devices check against it."""

import ipaddress
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from msgspec import Struct

AUTHORITY_YEARS = 20
"""A device that was in a drawer for years must still trust its hub."""
SERVER_DAYS = 825
"""More is refused by some browsers."""
RENEWED_BEFORE = timedelta(days=90)
"""The end of a server's certificate: a hub that is switched off for a season comes back with a valid one."""
_SKEW = timedelta(days=1)
"""Devices without a battery-backed clock wake up in the past."""


class KeyPair(Struct, frozen=True):
    """PEM; the key in PKCS 8 without a passphrase, for a file of mode 0600."""

    certificate: bytes
    key: bytes


def make_authority() -> KeyPair:
    key = ec.generate_private_key(ec.SECP384R1())
    name = _name("FLIP hub")
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    builder = (
        _builder(name, name, key.public_key(), 365 * AUTHORITY_YEARS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return _pair(builder, key, key)


def make_server(authority: KeyPair, names: Sequence[str]) -> KeyPair:
    """`names`: DNS names and addresses by which the port is reached, at least one."""
    ca = x509.load_pem_x509_certificate(authority.certificate)
    ca_key = serialization.load_pem_private_key(authority.key, None)
    assert isinstance(ca_key, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP384R1())
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    builder = (
        _builder(_name(names[0]), ca.subject, key.public_key(), SERVER_DAYS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(identifier, critical=False)
    )
    return _pair(builder, key, ca_key)


def is_to_renew(certificate: bytes, authority: bytes, names: Sequence[str], now: datetime) -> bool:
    """Whether a server's certificate ends soon, was made for other names, or by another authority."""
    found = x509.load_pem_x509_certificate(certificate)
    alternative = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    if set(alternative) != {_general_name(name) for name in names}:
        return True
    return found.not_valid_after_utc - now < RENEWED_BEFORE or not _made_by(found, authority)


def _made_by(certificate: x509.Certificate, authority: bytes) -> bool:
    try:
        certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(authority))
    except (ValueError, InvalidSignature):
        return False
    return True


def authority_fingerprint(authority: bytes) -> str:
    """SHA-256 of the certificate in DER, in hexadecimal: what a person compares, or a command line carries."""
    return x509.load_pem_x509_certificate(authority).fingerprint(hashes.SHA256()).hex()


def _builder(
    subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey, days: int
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + timedelta(days=days))
    )


def _pair(
    builder: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey, signer: ec.EllipticCurvePrivateKey
) -> KeyPair:
    certificate = builder.sign(signer, hashes.SHA384())
    return KeyPair(
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
