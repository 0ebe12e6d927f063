"""How an operator lets people sign in with their provider's account."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInPolicy:
    """``create``: the first sign-in of an account makes a customer, named by ``claim``, in ``organisation``."""

    claim: str = "preferred_username"
    create: bool = False
    organisation: str | None = None


@dataclass(frozen=True, slots=True)
class SignInOptions:
    """``callback`` and ``after_sign_out``: addresses as browsers see them; empty is what the request says."""

    policy: SignInPolicy
    callback: str = ""
    after_sign_out: str = ""
