"""What every Secrets must do."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from foedus.core.errors import Invalid
from foedus.ports.secrets import BadSecretName, SecretMissing

BAD_NAMES = ["", "-", "a-", "-a", "a--b", "A", "a_b", "a.b", "a/b", "..", "../a", "a\n", "ä", "a b", "a" * 101, "a\0"]


class SecretsContract:
    """A connector's test subclasses it and gives ``secrets``, an empty store, and ``provide``.

    ``provide(name, value)`` puts a secret there as an operator would.
    """

    read_only = False

    def test_a_secret_that_was_provided_is_found(self, secrets, provide):
        provide("signing-key", "s3cr3t with spaces, ümläuts & =")

        assert secrets.get("signing-key").reveal() == "s3cr3t with spaces, ümläuts & ="
        assert secrets.get_or_create("signing-key").reveal() == "s3cr3t with spaces, ümläuts & ="

    def test_a_secret_does_not_show_itself(self, secrets, provide):
        provide("signing-key", "s3cr3t")

        secret = secrets.get("signing-key")

        assert "s3cr3t" not in f"{secret} {secret!r} {[secret]}"

    def test_a_missing_secret_is_an_error_that_says_what_to_do(self, secrets):
        with pytest.raises(SecretMissing, match=r"set|write|hand"):
            secrets.get("signing-key")

    @pytest.mark.parametrize("name", BAD_NAMES)
    def test_what_is_no_name_is_refused(self, secrets, name):
        with pytest.raises(BadSecretName):
            secrets.get(name)
        with pytest.raises(BadSecretName):
            secrets.get_or_create(name)

    def test_a_secret_is_made_once_and_kept(self, secrets):
        if self.read_only:
            with pytest.raises(SecretMissing):
                secrets.get_or_create("signing-key")
            return

        made = secrets.get_or_create("signing-key", 32)
        again = secrets.get_or_create("signing-key", 64)

        assert len(made.reveal()) == 43  # 32 bytes in base64 without padding
        assert made.reveal() == again.reveal() == secrets.get("signing-key").reveal()
        assert secrets.get_or_create("other-key").reveal() != made.reveal()

    def test_a_secret_short_enough_to_guess_is_not_made(self, secrets):
        with pytest.raises(SecretMissing if self.read_only else Invalid):
            secrets.get_or_create("signing-key", 8)

    def test_all_who_ask_at_once_get_the_same(self, secrets):
        if self.read_only:
            return

        with ThreadPoolExecutor(8) as pool:
            made = list(pool.map(lambda _: secrets.get_or_create("signing-key").reveal(), range(64)))

        assert len(set(made)) == 1
