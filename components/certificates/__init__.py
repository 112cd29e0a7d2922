"""The stack's own certificate authority and the certificates that it signs."""

from components.certificates.component import Certificate, CertificateAuthority
from components.certificates.pem import Pem

__all__ = ["Certificate", "CertificateAuthority", "Pem"]
