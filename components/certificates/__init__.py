"""The stack's own certificate authority and the certificates that it signs."""

from components.certificates.component import Certificate, CertificateAuthority

__all__ = ["Certificate", "CertificateAuthority"]
