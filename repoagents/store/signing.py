"""The installation's own key: Ed25519, made once, its private half readable by its owner only."""

import base64
import hashlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from repoagents.errors import StoreError
from repoagents.store.faults import fault
from repoagents.store.files import Taken, new_file

KEY = "state/signing-key.pem"


@dataclass(frozen=True)
class PublicKey:
    """The half that everybody may know: 32 bytes in base64, and their fingerprint."""

    base64: str

    @property
    def fingerprint(self) -> str:
        """`SHA256:` and the hash of the key's bytes, as people compare it."""
        digest = hashlib.sha256(base64.b64decode(self.base64)).digest()
        return f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"

    def signed(self, content: bytes, signature: str) -> bool:
        """Whether this signature (base64) was made over this content by the key's other half."""
        try:
            raw = base64.b64decode(self.base64, validate=True)
            key = Ed25519PublicKey.from_public_bytes(raw)
            key.verify(base64.b64decode(signature, validate=True), content)
        except (ValueError, InvalidSignature):
            return False
        # Base64 that decodes alike but is spelled otherwise is a change, too.
        return base64.b64encode(base64.b64decode(signature)).decode() == signature


class SigningKey:
    """The installation's key pair."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private

    @property
    def public(self) -> PublicKey:
        """The public half."""
        raw = self._private.public_key().public_bytes(
            serialization.Encoding.Raw, serialization.PublicFormat.Raw
        )
        return PublicKey(base64.b64encode(raw).decode())

    def sign(self, content: bytes) -> str:
        """The signature over this content, in base64."""
        return base64.b64encode(self._private.sign(content)).decode()


def load_key(control: Path) -> SigningKey:
    """The installation's key, made when there is none yet.

    Raises `StoreError` when the file cannot be read, or holds no Ed25519 key.
    """
    path = control / KEY
    try:
        if not path.exists():
            _make(path)
        pem = path.read_bytes()
    except OSError as error:
        raise fault(error, str(path)) from error
    try:
        private = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError) as error:
        raise _unusable(path) from error
    if not isinstance(private, Ed25519PrivateKey):
        raise _unusable(path)
    return SigningKey(private)


def _make(path: Path) -> None:
    """Write a new key; of two that make one at once, the first one's stays."""
    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    with suppress(Taken), new_file(path) as file:
        file.write(pem)


def _unusable(path: Path) -> StoreError:
    return StoreError(
        f"{path} holds no Ed25519 key",
        next_step="Move it away: the next `repoagents ops key` makes a new one, and says which.",
    )
